"""Name the applications' series and write their labels, once for each set of attributes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from poolscope.catalogue import METRICS, Kind
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Attributes, Point
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS
from poolscope_exporter.core.prometheus_names import label_name, metric_name
from poolscope_exporter.metrics.families import RESERVED, Families, FamilyType
from poolscope_exporter.metrics.text_format import LabelText, joined, label_text

CACHED = 8_192
CACHED_ATTRIBUTES = 12

TYPES = {
    Kind.COUNTER: FamilyType.COUNTER,
    Kind.UP_DOWN_COUNTER: FamilyType.GAUGE,
    Kind.GAUGE: FamilyType.GAUGE,
    Kind.HISTOGRAM: FamilyType.HISTOGRAM,
}
_DESCRIPTIONS = {metric.name: metric.description for metric in METRICS}
_FIRST_OF_INSTANCE = min(INSTANCE_LABELS)

name_of = lru_cache(1024)(metric_name)
_label = lru_cache(1024)(label_name)


@dataclass(frozen=True, slots=True, eq=False)
class _AppSeries:
    """The parts of one series that are equal in all processes: its identity and its texts.

    `late` holds the labels if some sort after the first label of the process.
    """

    name: str
    type: FamilyType
    help: str
    labels: LabelText
    late: dict[str, str] | None


_Written = dict[_AppSeries, LabelText]


class SeriesLabels:
    """The labels of each process's series; those of one exposition are kept for the next."""

    def __init__(self) -> None:
        self._kept: dict[Instance, _Written] = {}

    def add_series(self, families: Families, series: Iterable[tuple[Instance, Point]]) -> None:
        """Add the series of the processes; the points of one process are consecutive."""
        written: dict[Instance, _Written] = {}
        for instance, points in groupby(series, key=itemgetter(0)):
            known, now = self._kept.get(instance, {}), written.setdefault(instance, {})
            own = instance_labels(instance)
            own_text = joined(*label_text(own))
            for _, point in points:
                found = _series_of(point)
                labels = known.get(found) or _labels(found, own, own_text)
                now[found] = labels
                families.add_sample(found.name, found.type, found.help, labels, point.value)
        self._kept = written


def _labels(series: _AppSeries, own: dict[str, str], own_text: str) -> LabelText:
    if series.late is not None:
        return label_text({**series.late, **own})
    before, after = series.labels
    return before, joined(after, own_text)


def instance_labels(instance: Instance) -> dict[str, str]:
    """Return the labels that identify a process."""
    values = (instance.namespace, instance.name, instance.id)
    return dict(zip(INSTANCE_LABELS, values, strict=True))


def _series_of(point: Point) -> _AppSeries:
    given = point.attributes
    attributes = given if isinstance(given, Attributes) else Attributes(given)
    of = _series if len(attributes) <= CACHED_ATTRIBUTES else _series.__wrapped__
    return of(point.metric, point.kind, point.unit, attributes)


@lru_cache(CACHED)
def _series(metric: str, kind: Kind, unit: str, attributes: Attributes) -> _AppSeries:
    labels: dict[str, str] = {}
    for attribute, value in attributes.items():
        label = _label(attribute)
        if label not in INSTANCE_LABELS and label not in RESERVED:
            labels.setdefault(label, value)
    is_late = any(label > _FIRST_OF_INSTANCE for label in labels)
    return _AppSeries(
        name_of(metric, kind, unit),
        TYPES[kind],
        _DESCRIPTIONS.get(metric, "As received; not in the catalogue."),
        label_text(labels),
        labels if is_late else None,
    )

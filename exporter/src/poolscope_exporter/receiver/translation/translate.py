"""Rewrite the pool metrics of other senders as the wire catalogue has them, in the message itself.

The receiver reads the rewritten message, and forwarding sends it. So both have the same names.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
)

from poolscope import catalogue
from poolscope_exporter.receiver.attributes import as_text, number_of, read_attributes
from poolscope_exporter.receiver.refusals import DecodeRefusal
from poolscope_exporter.receiver.translation import exponential_histograms as exponential
from poolscope_exporter.receiver.translation.table import (
    ATTRIBUTES,
    COUNTED,
    PER_SECOND,
    TRANSLATIONS,
    VALUES,
    Translation,
    is_count,
    is_time,
    is_unlimited,
    meaning_of,
)

_RANKS = {name: rank for rank, name in enumerate(TRANSLATIONS, start=1)}
_Key = tuple[str, frozenset[tuple[str, str]]]


def translate(resource: ResourceMetrics, refused: Counter[str]) -> int:
    """Rewrite the metrics of one process in place; return the number of dropped repetitions.

    Pushes of `poolscope` have the names of the catalogue and stay as they are. Points that cannot
    be converted are counted in `refused`.
    """
    if any(scope.scope.name == catalogue.PUSH_SCOPE for scope in resource.scope_metrics):
        return 0
    given = [
        (metric.name, metric, meaning)
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if (meaning := meaning_of(metric.name))
    ]
    for _, metric, meaning in given:
        _rewrite(metric, meaning, refused)
    if not any(name in _RANKS for name, _, _ in given):
        return 0
    in_order = sorted(given, key=lambda each: _RANKS.get(each[0], 0))
    return _drop_repeated((name, metric, meaning.metric) for name, metric, meaning in in_order)


def _rewrite(metric: Metric, meaning: Translation, refused: Counter[str]) -> None:
    if metric.WhichOneof("data") in (None, "summary"):
        return  # the receiver refuses both, with the reason
    metric.name = meaning.metric.name
    unit = metric.unit.strip().lower()
    if is_time(meaning.metric) and (per_second := PER_SECOND.get(unit)):
        metric.unit = meaning.metric.unit
        if per_second != 1:
            _convert_to_seconds(metric, per_second, refused)
    elif is_count(meaning.metric) and (unit in COUNTED or unit.startswith("{")):
        metric.unit = meaning.metric.unit
    for point in _points(metric):
        _rename_attributes(point.attributes, meaning)
    _drop_points(metric, partial(_is_unlimited, meaning.metric))


def _is_unlimited(meaning: catalogue.Metric, point: Any) -> bool:
    value = number_of(point) if isinstance(point, NumberDataPoint) else None
    return value is not None and is_unlimited(meaning, value)


def _rename_attributes(attributes: Any, meaning: Translation) -> None:
    present = {pair.key for pair in attributes}
    for pair in attributes:
        newer = meaning.renames.get(pair.key) or ATTRIBUTES.get(pair.key)
        if newer and newer not in present:
            pair.key = newer
            present.add(newer)
        value = VALUES.get(pair.key, {}).get(pair.value.string_value)
        if value:
            pair.value.string_value = value
        if pair.key in meaning.sets:
            pair.value.string_value = meaning.sets[pair.key]
    for name, text in {**meaning.defaults, **meaning.sets}.items():
        if name not in present:
            attributes.append(KeyValue(key=name, value=AnyValue(string_value=text)))


def _convert_to_seconds(metric: Metric, per_second: float, refused: Counter[str]) -> None:
    match metric.WhichOneof("data"):
        case "gauge" | "sum":
            for point in _points(metric):
                if (value := number_of(point)) is not None:
                    point.as_double = value / per_second
        case "histogram":
            for point in _points(metric):
                _divide(point, per_second)
        case "exponential_histogram":
            _make_explicit(metric, per_second, refused)


def _divide(point: HistogramDataPoint, per_second: float) -> None:
    bounds = [bound / per_second for bound in point.explicit_bounds]
    del point.explicit_bounds[:]
    point.explicit_bounds.extend(bounds)
    for field in ("sum", "min", "max"):
        if point.HasField(field):
            setattr(point, field, getattr(point, field) / per_second)
    _divide_exemplars(point, per_second)


def _divide_exemplars(point: HistogramDataPoint, per_second: float) -> None:
    for each in point.exemplars:
        kind = each.WhichOneof("value")
        each.as_double = float(getattr(each, kind)) / per_second if kind else math.nan


def _make_explicit(metric: Metric, per_second: float, refused: Counter[str]) -> None:
    """Replace an exponential histogram by one with the catalogue's bounds.

    The bounds of an exponential histogram are powers, so they cannot be divided by 1,000.
    """
    bounds = exponential.bounds_of(metric.name)
    temporality = metric.exponential_histogram.aggregation_temporality
    made = []
    for point in metric.exponential_histogram.data_points:
        buckets = exponential.buckets_of(point, bounds, per_second)
        if buckets is None:
            refused[DecodeRefusal.MALFORMED_POINT] += 1
            continue
        explicit = HistogramDataPoint(
            attributes=point.attributes,
            start_time_unix_nano=point.start_time_unix_nano,
            time_unix_nano=point.time_unix_nano,
            flags=point.flags,
            count=point.count,
            sum=buckets.sum if point.HasField("sum") else None,
            bucket_counts=buckets.counts,
            explicit_bounds=buckets.bounds,
            exemplars=point.exemplars,
        )
        _divide_exemplars(explicit, per_second)
        made.append(explicit)
    metric.histogram.aggregation_temporality = temporality
    metric.histogram.data_points.extend(made)


def _drop_repeated(given: Iterable[tuple[str, Metric, catalogue.Metric]]) -> int:
    """Remove the points of a series that the process sends under a second name.

    The Java agent can send old and new names at once (`database/dup`).
    """
    names: dict[_Key, str] = {}
    dropped = 0
    for name, metric, meaning in given:
        dropped += _drop_points(metric, partial(_has_other_name, names, name, meaning))
    return dropped


def _has_other_name(
    names: dict[_Key, str], name: str, meaning: catalogue.Metric, point: Any
) -> bool:
    return names.setdefault(_key(point, meaning), name) != name


def _key(point: Any, meaning: catalogue.Metric) -> _Key:
    kept = (*catalogue.POOL_IDENTITY, *meaning.attributes)
    found = read_attributes(point.attributes)
    return meaning.name, frozenset((key, as_text(found[key])) for key in kept if key in found)


def _points(metric: Metric) -> Any:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


def _drop_points(metric: Metric, is_dropped: Callable[[Any], bool]) -> int:
    """Remove the points of a metric for which `is_dropped` holds; return their number."""
    points = _points(metric)
    kept = [point for point in points if not is_dropped(point)]
    dropped = len(points) - len(kept)
    if dropped:
        del points[:]
        points.extend(kept)
    return dropped

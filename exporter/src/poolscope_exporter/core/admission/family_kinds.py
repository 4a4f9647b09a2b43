"""Keep one kind for each metric outside the catalogue: a metric family can have only one type."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from poolscope.catalogue import METRICS, Kind
from poolscope_exporter.core.admission.points import is_gauge
from poolscope_exporter.core.admission.reserved_names import family_name
from poolscope_exporter.core.model.pushes import Point

_CATALOGUE: Final = frozenset(metric.name for metric in METRICS)
"""The names with a fixed kind: admission gives it to their points, or refuses them."""


class KindConflict(NamedTuple):
    """A metric that a sender pushes with another kind than an earlier sender."""

    metric: str
    pushed: Kind
    kept: Kind


@dataclass(slots=True)
class _KeptFamily:
    kind: Kind
    series: int = 0


class FamilyKinds:
    """The kinds of all metric families outside the catalogue, for all processes together.

    The first series gives a family its kind. The kind stays until the last series is dropped, so
    there are never more families than series.
    """

    def __init__(self) -> None:
        self._families: dict[str, _KeptFamily] = {}

    def conflict_with(self, point: Point) -> KindConflict | None:
        """Return the conflict if the family of the point has another kind; None if it has not."""
        family = None if point.metric in _CATALOGUE else self._families.get(_name(point))
        if family is None or family.kind is _kind(point):
            return None
        return KindConflict(point.metric, point.kind, family.kind)

    def claim_family(self, point: Point) -> None:
        """Count a new series without a conflict in its family."""
        if point.metric not in _CATALOGUE:
            self._families.setdefault(_name(point), _KeptFamily(_kind(point))).series += 1

    def release_family(self, point: Point) -> None:
        """Remove a series from its family; without any, the family can get another kind."""
        if point.metric in _CATALOGUE:
            return
        name = _name(point)
        self._families[name].series -= 1
        if not self._families[name].series:
            del self._families[name]


def _name(point: Point) -> str:
    return family_name(point.metric, point.kind, point.unit)


def _kind(point: Point) -> Kind:
    # Prometheus has one type for both kinds of a value as of now.
    return Kind.GAUGE if is_gauge(point) else point.kind

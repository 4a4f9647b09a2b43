"""Decide which points of a push are kept: known metrics, in their shape, with bounded labels."""

import math
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from sys import intern

from poolscope import catalogue
from poolscope.catalogue import SCOPE, Kind, Metric
from poolscope_exporter.core.admission.reserved_names import is_reserved
from poolscope_exporter.core.model.pushes import Attributes, HistogramValue, Point
from poolscope_exporter.core.prometheus_names import label_name

CONVENTION = "db.client.connection."
"""Metrics of the semantic conventions that are newer than the catalogue are kept as they are."""

MAX_ATTRIBUTES = 8
MAX_BUCKETS = 200
CACHED = 8_192
CACHED_ATTRIBUTES = 12
"""More attributes than any series of ours has: what a stranger sends must not fill the memory."""

_Kept = tuple[str, Kind, str, Attributes]
"""Metric, kind, unit and attributes."""


class Refusal(StrEnum):
    """Why something of a push was not kept."""

    UNKNOWN_METRIC = "unknown_metric"
    RESERVED_NAME = "reserved_name"
    WRONG_KIND = "wrong_kind"
    CONFLICTING_KIND = "conflicting_kind"
    WRONG_UNIT = "wrong_unit"
    MISSING_STATE = "missing_state"
    BAD_VALUE = "bad_value"
    TOO_MANY_INSTANCES = "too_many_instances"
    TOO_MANY_POOLS = "too_many_pools"
    TOO_MANY_SERIES = "too_many_series"
    TOO_MANY_SERVICES = "too_many_services"
    TOO_MANY_CHECKOUTS = "too_many_checkouts"
    TOO_MANY_WAITERS = "too_many_waiters"
    TOO_MANY_SESSIONS = "too_many_sessions"
    OUT_OF_ORDER = "out_of_order"
    FOREIGN_TOKEN = "foreign_token"  # noqa: S105 - the name of a refusal
    FOREIGN_SERVICE = "foreign_service"
    DUPLICATE = "duplicate"
    SHARED_INSTANCE = "shared_instance"


_KNOWN: Mapping[str, Metric] = {
    metric.name: metric for metric in catalogue.METRICS if metric.scope == SCOPE
}
_OF_PROCESS = frozenset(metric.name for metric in catalogue.PROCESS_METRICS)
_GAUGES = (Kind.GAUGE, Kind.UP_DOWN_COUNTER)
"""Two instruments, one meaning: a value as of now."""


def admit(point: Point) -> Point | Refusal:
    """Return the point as it is kept, with the catalogue's kind, unit and attributes, or why not.

    Attributes that a known metric may have are always there, empty where the sender had none.
    """
    if not _is_sound(point):
        return Refusal.BAD_VALUE
    given = point.attributes
    attributes = given if isinstance(given, Attributes) else Attributes(given)
    is_usual = len(attributes) <= CACHED_ATTRIBUTES
    keep = _kept if is_usual else _kept.__wrapped__
    kept = keep(point.metric, point.kind, point.unit, attributes)
    if isinstance(kept, Refusal):
        return kept
    return Point(*kept, point.value, point.is_delta, point.start_ns, point.time_ns)


def is_gauge(point: Point) -> bool:
    """Return whether the point is a value as of now, which goes when its process goes."""
    return point.kind in _GAUGES


def describes_pool(point: Point) -> bool:
    """Return whether the point is one of a pool; the others are of the whole process."""
    return point.metric not in _OF_PROCESS


def _is_sound(point: Point) -> bool:
    if isinstance(point.value, HistogramValue):
        buckets = point.value
        fits = len(buckets.counts) == len(buckets.bounds) + 1 <= MAX_BUCKETS
        return point.kind is Kind.HISTOGRAM and fits and math.isfinite(buckets.sum)
    return point.kind is not Kind.HISTOGRAM and math.isfinite(point.value)


@lru_cache(CACHED)
def _kept(metric: str, kind: Kind, unit: str, attributes: Attributes) -> _Kept | Refusal:
    """Return what is kept of a series, the same for each of its points: they share it."""
    known = _KNOWN.get(metric)
    if known:
        return _as_known(known, kind, unit, attributes)
    if metric.startswith(CONVENTION):
        if is_reserved(metric, kind, unit):
            return Refusal.RESERVED_NAME
        return intern(metric), kind, intern(unit), _as_is(attributes)
    return Refusal.UNKNOWN_METRIC


def _as_known(
    metric: Metric, kind: Kind, unit: str, attributes: Mapping[str, str]
) -> _Kept | Refusal:
    if kind is not metric.kind and not {kind, metric.kind} <= set(_GAUGES):
        return Refusal.WRONG_KIND
    if _dimension(unit) != _dimension(metric.unit):
        return Refusal.WRONG_UNIT
    if metric is catalogue.COUNT and not attributes.get(catalogue.CONNECTION_STATE):
        # Kept under an empty state, its connections would be neither used nor idle.
        return Refusal.MISSING_STATE
    identity = () if metric.name in _OF_PROCESS else catalogue.POOL_IDENTITY
    names = (*identity, *metric.attributes)
    kept = Attributes({name: intern(attributes.get(name, "")) for name in names})
    return metric.name, metric.kind, metric.unit, kept


def _as_is(attributes: Mapping[str, str]) -> Attributes:
    others = set(attributes) - set(catalogue.POOL_IDENTITY)
    own = sorted(name for name in others if not _is_reserved(name))[:MAX_ATTRIBUTES]
    names = (*catalogue.POOL_IDENTITY, *own)
    return Attributes({name: attributes.get(name, "") for name in names})


def _is_reserved(name: str) -> bool:
    # With `__name__` among the labels of one series, Prometheus reads nothing of all the others.
    return not name or label_name(name).startswith("__")


def _dimension(unit: str) -> str:
    # `{connection}`, `1` and nothing at all are three spellings of a plain number.
    return "" if unit == "1" or unit.startswith("{") else unit

"""Translate metrics of the conventions before 1.26 into today's names and units.

HikariCP with the Java agent, and Npgsql up to version 9, still send them.
"""

from collections.abc import Mapping

from poolscope import catalogue
from poolscope.catalogue import Kind, Metric

_OLDER_METRICS: Mapping[str, Metric] = {
    "db.client.connections.usage": catalogue.COUNT,
    "db.client.connections.idle.max": catalogue.IDLE_MAX,
    "db.client.connections.idle.min": catalogue.IDLE_MIN,
    "db.client.connections.max": catalogue.MAX,
    "db.client.connections.pending_requests": catalogue.PENDING_REQUESTS,
    "db.client.connections.timeouts": catalogue.TIMEOUTS,
    "db.client.connections.create_time": catalogue.CREATE_TIME,
    "db.client.connections.wait_time": catalogue.WAIT_TIME,
    "db.client.connections.use_time": catalogue.USE_TIME,
}
_OLDER_ATTRIBUTES: Mapping[str, str] = {
    "pool.name": catalogue.POOL_NAME,
    "state": catalogue.CONNECTION_STATE,
}
_UNITS_PER_SECOND: Mapping[str, float] = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}
_IN_SECONDS = frozenset(
    metric.name
    for metric in catalogue.METRICS
    if metric.unit == "s" and metric.kind is not Kind.GAUGE
)


def metric_name(name: str) -> str:
    """Return today's name of a metric."""
    metric = _OLDER_METRICS.get(name)
    return metric.name if metric else name


def is_older(name: str) -> bool:
    """Return whether the metric has an older name, and so its attributes have older names too."""
    return name in _OLDER_METRICS


def attribute_names(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of an older metric under today's names."""
    return {_OLDER_ATTRIBUTES.get(name, name): value for name, value in attributes.items()}


def units_per_second(name: str, unit: str) -> float:
    """Return the divisor that makes seconds of a metric's values, or 1; `name` is today's name."""
    return _UNITS_PER_SECOND.get(unit, 1) if name in _IN_SECONDS else 1

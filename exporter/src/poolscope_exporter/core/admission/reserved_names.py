"""Reject metric names of other senders that collide with known families or break a parser."""

from functools import lru_cache
from typing import Final

from poolscope.catalogue import METRICS, Kind
from poolscope_exporter.core.own_metrics import OWN_METRICS
from poolscope_exporter.core.prometheus_names import metric_name

_SUFFIXES: Final = ("_total", "_created", "_count", "_sum", "_bucket", "_gcount", "_gsum", "_info")
"""Suffixes that the formats append to a family's name; the name itself may not end with one."""


def is_reserved(metric: str, kind: Kind, unit: str) -> bool:
    """Return whether an unknown metric would collide with a known one, or break the exposition.

    The OpenMetrics parser rejects a whole exposition if one family has a name with such a suffix.
    """
    family = family_name(metric, kind, unit)
    return family.endswith(_SUFFIXES) or not _sample_names(family).isdisjoint(_ours())


@lru_cache(1024)
def family_name(metric: str, kind: Kind, unit: str) -> str:
    """Return the name of the metric's family; samples of a counter have `_total` after it."""
    name = metric_name(metric, kind, unit)
    return name.removesuffix("_total") if kind is Kind.COUNTER else name


def _sample_names(family: str) -> frozenset[str]:
    """Return all names that samples of the family may have, for every type."""
    return frozenset((family, *(family + suffix for suffix in _SUFFIXES)))


@lru_cache(1)
def _ours() -> frozenset[str]:
    families = [family_name(metric.name, metric.kind, metric.unit) for metric in METRICS]
    families += [metric.name.removesuffix("_total") for metric in OWN_METRICS]
    return frozenset(name for family in families for name in _sample_names(family))

"""The rules of `promtool check metrics`, in Python, for machines that do not have it."""

import re
from collections.abc import Iterable

from prometheus_client import Metric

ALLOWED = {"db_client_connection_count"}
"""The standard's own name, whose suffix promlint would keep for histograms."""

_NOT_BASE_UNITS = re.compile(
    r"(^|_)(milli|micro|nano)?(ms|us|ns|milliseconds|microseconds|nanoseconds|minutes|hours|days"
    r"|weeks|kilobytes|megabytes|gigabytes|bits|percent|fahrenheit|kelvin)($|_)"
)
_TYPES = re.compile(r"(^|_)(gauge|counter|summary|histogram|untyped|info_info)($|_)")


def problems(families: Iterable[Metric]) -> list[str]:
    """Return what promlint would say; empty where it would say nothing."""
    return [problem for family in families for problem in _problems(family)]


def _problems(family: Metric) -> Iterable[str]:
    name = family.name + ("_total" if family.type == "counter" else "")
    if not family.documentation:
        yield f"{name}: no help text"
    if name not in ALLOWED:
        yield from _name_problems(name, family.type)
    for label in {label for sample in family.samples for label in sample.labels}:
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", label):
            yield f"{name}: label {label} is not in snake_case"
        if label in ("le", "quantile") and family.type not in ("histogram", "summary"):
            yield f"{name}: label {label} is reserved"


def _name_problems(name: str, kind: str) -> Iterable[str]:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        yield f"{name}: not in snake_case"
    if _NOT_BASE_UNITS.search(name):
        yield f"{name}: not a base unit"
    if _TYPES.search(name):
        yield f"{name}: the type is in the name"
    if kind != "counter" and name.endswith("_total"):
        yield f"{name}: _total on what is no counter"
    if kind in ("gauge", "counter") and re.search(r"_(count|sum|bucket)$", name):
        yield f"{name}: a suffix of histograms"

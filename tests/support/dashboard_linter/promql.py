"""Reads the PromQL of a dashboard: variables stand in it that Grafana replaces."""

import re
from collections.abc import Iterator
from datetime import timedelta

import promql_parser
from promql_parser import VectorSelector

from support.dashboard_linter.dashboard import Dashboard, variables

RATE_INTERVAL = timedelta(seconds=11_277_964)
"""What stands for `$__rate_interval`: nobody writes just this."""

_DURATIONS = {
    "__rate_interval": f"{RATE_INTERVAL.total_seconds():.0f}s",
    "__interval": "11277965s",
    "__range": "11277966s",
}
_NUMBERS = {"__interval_ms", "__range_ms", "__range_s", "__from", "__to"}
_STRING_OR_VARIABLE = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")|\$\{(?P<braced>\w+)(?::\w+)?\}|\$(?P<plain>\w+)'
)


def parsed(expression: str, dashboard: Dashboard) -> object:
    """Return the tree of an expression; ValueError where it is no PromQL."""
    return promql_parser.parse(expanded(expression, dashboard))


def expanded(expression: str, dashboard: Dashboard) -> str:
    """Return PromQL with something in the place of each variable outside of a string."""
    stand_ins = dict(_stand_ins(dashboard))

    def replaced(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        return found[0] if found["text"] else stand_ins.get(name, found[0])

    return _STRING_OR_VARIABLE.sub(replaced, expression)


def _stand_ins(dashboard: Dashboard) -> Iterator[tuple[str, str]]:
    yield from _DURATIONS.items()
    yield from ((name, "11277967") for name in _NUMBERS)
    for variable in variables(dashboard):
        value = str(variable.get("current", {}).get("value", ""))
        is_written_out = re.fullmatch(r"\d+(ms|[smhdwy])?|[0-9.]+", value)
        name = variable["name"]
        yield (
            name,
            "11277968s"
            if variable["type"] == "interval"
            else (value if is_written_out else f"bgludgvy_{name}"),
        )


def nodes(tree: object, above: tuple[object, ...] = ()) -> Iterator[tuple[object, list[object]]]:
    """Yield every node with those above it, the nearest last."""
    yield tree, list(above)
    for child in _children(tree):
        yield from nodes(child, (*above, tree))


def selectors(tree: object) -> list[VectorSelector]:
    """Return every selector, with a range or without."""
    return [node for node, _ in nodes(tree) if isinstance(node, VectorSelector)]


def _children(node: object) -> Iterator[object]:
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        child = getattr(node, name, None)
        if child is not None:
            yield child
    yield from getattr(node, "args", ())

"""Reads the dashboards as Grafana would, and their queries as Prometheus would."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import promql_parser
from promql_parser import Call, MatrixSelector, VectorSelector

from poolscope_alerts.__main__ import load_sources
from poolscope_dashboards.__main__ import files
from poolscope_exporter.core.own_metrics import OWN_METRICS

Json = dict[str, Any]

SOURCES: Final = load_sources()
DASHBOARDS: Final[dict[str, Json]] = {
    name.removesuffix(".json"): json.loads(text)
    for name, text in files(SOURCES).items()
    if name.endswith(".json")
}
OF_EXPORTERS: Final = frozenset(metric.name for metric in OWN_METRICS)
STEP: Final = "61s"
RANGE: Final = "3601s"


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel; `expression` is as it is written in the file."""

    panel: Json
    expression: str
    is_now: bool
    index: int

    @property
    def title(self) -> str:
        return f"{self.panel['title']} {self.index}"


def flat(panels: list[Json]) -> Iterator[Json]:
    """Yield all panels, also those in closed rows."""
    for panel in panels:
        yield panel
        yield from flat(panel.get("panels", []))


def shown(dashboard: Json) -> list[Json]:
    """Return the panels that show something: all but the rows."""
    return [panel for panel in flat(dashboard["panels"]) if panel["type"] != "row"]


def measured(dashboard: Json) -> list[Json]:
    """Return the panels that show numbers: all but rows and words."""
    return [panel for panel in shown(dashboard) if panel["type"] != "text"]


def targets(dashboard: Json) -> Iterator[Target]:
    """Yield all queries."""
    for panel in measured(dashboard):
        for index, found in enumerate(panel["targets"]):
            yield Target(panel, found["expr"], found["instant"] and not found["range"], index)


def properties(panel: Json, name: str) -> list[Any]:
    """Return the values of a property in the panel's overrides."""
    return [
        found["value"]
        for override in panel["fieldConfig"]["overrides"]
        for found in override["properties"]
        if found["id"] == name
    ]


def links(panel: Json) -> list[str]:
    """Return the addresses that the cells of a table open."""
    return [link["url"] for found in properties(panel, "links") for link in found]


def without_scraping(expression: str) -> str:
    """Return the expression without the labels that Prometheus adds, which no program publishes."""
    return re.sub(r'(?:job|instance|cluster)=~"\$\w+"(?:, )?', "", expression)


def filled(expression: str) -> str:
    """Return the expression with something for each of Grafana's variables."""
    times = {"$__rate_interval": STEP, "$__interval": STEP, "$__range": RANGE}
    for variable, length in times.items():
        expression = expression.replace(variable, length)
    return re.sub(r"\$(\w+)", "x", expression)


@cache
def nodes(expression: str) -> tuple[object, ...]:
    """Return all parts of an expression."""
    found: list[object] = []
    promql_parser.walk(promql_parser.parse(filled(expression)), found.append)
    return tuple(found)


def calls(expression: str) -> list[Call]:
    """Return the calls of functions in an expression."""
    return [node for node in nodes(expression) if isinstance(node, Call)]


def selectors(expression: str) -> list[VectorSelector]:
    """Return the selectors of an expression."""
    return [node for node in nodes(expression) if isinstance(node, VectorSelector)]


def ranged(call: Call) -> MatrixSelector:
    """Return the range that a function is called on."""
    argument = call.args[0]
    assert isinstance(argument, MatrixSelector)
    return argument

"""A dashboard as the rules see it: variables, panels, targets, and what was found about them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Dashboard = Json
"""Classic JSON, as Grafana exports it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule objects to, and where; a target is counted from 0 within its panel."""

    rule: str
    dashboard: str
    what: str
    panel: str | None = None
    target: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A query of a panel."""

    panel: Json
    index: int
    json: Json

    @property
    def expression(self) -> str:
        """Return its PromQL, as it stands in the file."""
        return str(self.json.get("expr", ""))


def variables(dashboard: Dashboard, kind: str | None = None) -> list[Json]:
    """Return the variables, of one kind or all."""
    found: list[Json] = dashboard.get("templating", {}).get("list", [])
    return [each for each in found if kind in {None, each["type"]}]


def panels(dashboard: Dashboard) -> Iterator[Json]:
    """Yield every panel that shows something, also those of a collapsed row."""
    for panel in dashboard.get("panels", []):
        if panel["type"] != "row":
            yield panel
        yield from panel.get("panels", [])


def targets(dashboard: Dashboard) -> Iterator[Target]:
    """Yield every query of every panel."""
    for panel in panels(dashboard):
        for index, json in enumerate(panel.get("targets", [])):
            yield Target(panel, index, json)


def data_source_uid(thing: Json) -> str:
    """Return the uid of the data source of a panel, a target or a variable; "" without one."""
    source = thing.get("datasource") or ""
    return str(source.get("uid", "")) if isinstance(source, Mapping) else str(source)


def referring_to(name: str) -> set[str]:
    """Return both ways of writing a variable."""
    return {f"${name}", f"${{{name}}}"}

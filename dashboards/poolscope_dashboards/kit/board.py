"""Lay panels out on a grid, number them, and write a dashboard as Grafana's classic JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from poolscope_dashboards.kit.annotation import Annotation
from poolscope_dashboards.kit.palette import RED, Json
from poolscope_dashboards.kit.panel import Panel, to_json
from poolscope_dashboards.kit.variable import Variable

COLUMNS: Final = 24
SCHEMA: Final = 39
"""The classic schema that Grafana 10.4 writes; every later release migrates it by itself."""

TITLES: Final = {
    "poolscope-overview": "poolscope / Overview",
    "poolscope-fleet": "poolscope / Fleet",
    "poolscope-pool": "poolscope / Pool",
    "poolscope-server": "poolscope / Server",
    "poolscope-slo": "poolscope / SLO",
    "poolscope-exporter": "poolscope / Exporter",
}


@dataclass(frozen=True, slots=True)
class Section:
    """Panels below a heading; the first section of a dashboard has none and is always open."""

    title: str
    panels: tuple[Panel, ...]
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; `alerts` selects the alerts that it draws while they fire.

    `changes` are drawn too: restarts, deploys.
    """

    uid: str
    description: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]
    alerts: str
    changes: tuple[Annotation, ...] = ()

    @property
    def title(self) -> str:
        """Return the title in Grafana."""
        return TITLES[self.uid]

    @property
    def panels(self) -> Iterator[Panel]:
        """Return all panels in their order."""
        for section in self.sections:
            yield from section.panels


def file_text(board: Board) -> str:
    """Return the file to import; the same dashboard is always the same text."""
    return json.dumps(_document(board), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _document(board: Board) -> Json:
    return {
        "annotations": {"list": [each.to_json() for each in (_alerts(board), *board.changes)]},
        "description": board.description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "links": [_link(uid, title) for uid, title in TITLES.items() if uid != board.uid],
        "panels": _panels(board.sections),
        "refresh": "30s",
        "schemaVersion": SCHEMA,
        "tags": ["poolscope"],
        "templating": {"list": [variable.to_json() for variable in board.variables]},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": board.title,
        "uid": board.uid,
        "version": 1,
        "weekStart": "",
    }


def _alerts(board: Board) -> Annotation:
    """Return the regions in which alerts fire."""
    return Annotation(
        name="Alerts",
        expression=board.alerts,
        colour=RED,
        title="{{alertname}}",
        text=(
            "{{severity}} {{service_name}} {{db_client_connection_pool_name}} "
            "{{http_route}} {{server}} {{pgbouncer}}"
        ),
        tags="severity",
    )


def _link(uid: str, title: str) -> Json:
    return {
        "type": "link",
        "title": title.rpartition(" / ")[2],
        "url": f"/d/{uid}",
        "tooltip": f"Open {title}",
        "icon": "dashboard",
        "tags": [],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _panels(sections: Sequence[Section]) -> list[Json]:
    found: list[Json] = []
    numbers = iter(range(1, 1000))
    y = 0
    for section in sections:
        if section.title:
            row = _row(section, next(numbers), y)
            y += 1
            found.append(row)
        placed, y = _placed(section.panels, numbers, y)
        (found if section.is_open else row["panels"]).extend(placed)
    return found


def _row(section: Section, number: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": section.title,
        "collapsed": not section.is_open,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        "panels": [],
    }


def _placed(panels: Iterable[Panel], numbers: Iterator[int], y: int) -> tuple[list[Json], int]:
    """Return the panels side by side as long as they fit, and the first free line below."""
    found, x, tallest = [], 0, 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        found.append(to_json(panel, next(numbers), x, y))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return found, y + tallest

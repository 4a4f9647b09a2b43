"""Describe the content of a panel, before it is laid out and written as Grafana's JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from poolscope_dashboards.kit.palette import AMBER, CLEAR, GREEN, GREY, RED, Json

DATASOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}


class Kind(StrEnum):
    """The panels that Grafana 10.4 to 13 all have."""

    STAT = "stat"
    SERIES = "timeseries"
    TABLE = "table"
    TIMELINE = "state-timeline"
    TEXT = "text"


class Unit(StrEnum):
    """Units by Grafana's ids."""

    NUMBER = "none"
    SHARE = "percentunit"
    SECONDS = "s"
    PER_SECOND = "cps"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression; `is_now` asks for this moment alone, and not for the time range.

    A single number must be of now: the last one of the range may be of somebody who is gone.
    """

    expression: str
    legend: str = ""
    is_now: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The colour from a value on; None is the colour below all others, and of no value."""

    value: float | None
    colour: str


@dataclass(frozen=True, slots=True)
class Override:
    """Properties of the field that is named so."""

    field: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of any kind; `width` is of 24 columns, `height` in Grafana's rows.

    `none` is what it says where there is nothing to show. `defaults` go to the field
    configuration, `custom` to its part that is the kind's own.
    """

    kind: Kind
    title: str
    description: str
    width: int
    height: int
    queries: tuple[Query, ...] = ()
    unit: Unit = Unit.NUMBER
    none: str = ""
    steps: tuple[Step, ...] = (Step(None, CLEAR),)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    transformations: tuple[Json, ...] = ()


def now(expression: str, legend: str = "") -> Query:
    """Return a query for this moment."""
    return Query(expression, legend, is_now=True)


def limits(amber: float | None = None, red: float | None = None) -> tuple[Step, ...]:
    """Return the steps of a number that is well from 0 on, up to its limits."""
    bad = [Step(at, how) for at, how in ((amber, AMBER), (red, RED)) if at is not None]
    return (Step(None, GREY), Step(0.0, GREEN), *bad)


def lines(amber: float | None = None, red: float | None = None) -> tuple[Step, ...]:
    """Return the steps that a chart draws as lines."""
    return (Step(None, CLEAR), *limits(amber, red)[2:])


def plain() -> tuple[Step, ...]:
    """Return the steps of a number that is neither good nor bad."""
    return (Step(None, GREY), Step(0.0, "text"))


def room() -> tuple[Step, ...]:
    """Return the steps of what is left: nothing left is an emergency."""
    return (Step(None, GREY), Step(0.0, RED), Step(1.0, GREEN))


def painted(colours: Mapping[str, str]) -> tuple[Override, ...]:
    """Return the overrides that give fields their colours."""
    return tuple(
        Override(name, {"color": {"mode": "fixed", "fixedColor": colour}})
        for name, colour in colours.items()
    )


def to_json(panel: Panel, number: int, x: int, y: int) -> Json:
    """Return the panel as Grafana reads it."""
    grid = {"h": panel.height, "w": panel.width, "x": x, "y": y}
    shown: dict[str, Any] = {
        "id": number,
        "type": str(panel.kind),
        "title": panel.title,
        "description": panel.description,
        "gridPos": grid,
        "options": panel.options,
    }
    if panel.kind is Kind.TEXT:
        return shown
    return shown | {
        "datasource": DATASOURCE,
        "targets": [_target(panel, query, index) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel.overrides)},
        "transformations": list(panel.transformations),
    }


def _target(panel: Panel, query: Query, index: int) -> Json:
    return {
        "refId": ref(index),
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "editorMode": "code",
        "format": "table" if panel.kind is Kind.TABLE else "time_series",
        "instant": query.is_now,
        "range": not query.is_now,
    }


def ref(index: int) -> str:
    """Return Grafana's name of a panel's query."""
    return chr(ord("A") + index)


def _defaults(panel: Panel) -> Json:
    steps = [{"value": step.value, "color": step.colour} for step in panel.steps]
    found: dict[str, Any] = {
        "unit": str(panel.unit),
        "noValue": panel.none,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds"},
        "custom": panel.custom,
    }
    return found | dict(panel.defaults)


def _overrides(overrides: Sequence[Override]) -> list[Json]:
    return [
        {
            "matcher": {"id": "byName", "options": each.field},
            "properties": [{"id": key, "value": value} for key, value in each.properties.items()],
        }
        for each in overrides
    ]


def on_right_axis(override: Override, unit: Unit, most: float | None = None) -> Override:
    """Return the override with an axis of another unit on the right; it shows `most` at least."""
    axis = {"unit": str(unit), "custom.axisPlacement": "right"}
    room = {} if most is None else {"custom.axisSoftMax": most}
    return Override(override.field, {**override.properties, **axis, **room})


def line_over(name: str, colour: str) -> Override:
    """Return the override that draws a field as a dashed line over stacked ones."""
    return Override(
        name,
        {
            "color": {"mode": "fixed", "fixedColor": colour},
            "custom.stacking": {"mode": "none", "group": "A"},
            "custom.fillOpacity": 0,
            "custom.lineWidth": 2,
            "custom.lineStyle": {"fill": "dash", "dash": [10, 10]},
        },
    )

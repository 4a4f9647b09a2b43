"""Make the kinds of panels, each with the settings that all of its kind share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from poolscope_dashboards.kit.palette import GREY, Json, diagnosis_words, unknown
from poolscope_dashboards.kit.panel import (
    Kind,
    Override,
    Panel,
    Query,
    Step,
    Unit,
    lines,
    painted,
    plain,
)

_LEGEND: Final[Json] = {"displayMode": "list", "placement": "bottom", "showLegend": True}
_ROOMY: Final[Mapping[Unit, float]] = {Unit.NUMBER: 5, Unit.SHARE: 1}
_LAST: Final[Json] = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def stat(
    title: str,
    query: Query,
    description: str,
    *,
    none: str,
    width: int = 4,
    unit: Unit = Unit.NUMBER,
    steps: tuple[Step, ...] = (),
    mappings: Sequence[Json] = (),
    says_name: bool = False,
    is_count: bool = False,
) -> Panel:
    """Return one large number or word of now; `says_name`: the legend instead of the value.

    `is_count`: what Prometheus extrapolates to 3.05 events is shown as 3.
    """
    return Panel(
        Kind.STAT,
        title,
        description,
        width,
        4,
        (query,),
        unit,
        none,
        steps or plain(),
        defaults={
            "mappings": list(mappings) or [unknown(none)],
            **({"decimals": 0} if is_count else {}),
        },
        options={
            "colorMode": "background" if mappings else "value",
            "graphMode": "none",
            "justifyMode": "center",
            "orientation": "auto",
            "reduceOptions": _LAST,
            "textMode": "name" if says_name else "value",
        },
    )


def chart(
    title: str,
    queries: Sequence[Query],
    description: str,
    *,
    none: str,
    unit: Unit = Unit.NUMBER,
    steps: tuple[Step, ...] = (),
    overrides: tuple[Override, ...] = (),
    is_stacked: bool = False,
    width: int = 12,
    roomy: float | None = None,
) -> Panel:
    """Return lines over time; `steps` are drawn as dashed lines.

    `roomy` is what the axis shows at least, so that nothing but zeros does not look like much.
    """
    least = _ROOMY.get(unit) if roomy is None else roomy
    stacking = {"mode": "normal" if is_stacked else "none", "group": "A"}
    return Panel(
        Kind.SERIES,
        title,
        description,
        width,
        8,
        tuple(queries),
        unit,
        none,
        steps or lines(),
        defaults={
            "min": 0,
            "color": {"mode": "palette-classic"},
        },
        custom={
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 40 if is_stacked else 8,
            "gradientMode": "none",
            "showPoints": "never",
            "spanNulls": False,  # a gap says that nothing is known
            "stacking": stacking,
            "thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"},
            "axisPlacement": "auto",
            **({} if least is None else {"axisSoftMax": least}),
        },
        options={
            "legend": {**_LEGEND, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        overrides=overrides,
    )


def events(
    title: str,
    queries: Sequence[Query],
    description: str,
    *,
    none: str,
    width: int = 12,
    overrides: tuple[Override, ...] = (),
) -> Panel:
    """Return bars for what should not happen; a kind that does not happen has no bar.

    Each query gets another beside it that is 0 where somebody counts: nothing is known otherwise.
    """
    shown = [replace(query, expression=f"{query.expression} > 0") for query in queries]
    counted = " or ".join(f"0 * sum({query.expression})" for query in queries)
    panel = chart(
        title,
        (*shown, Query(counted, "none")),
        description,
        none=none,
        is_stacked=True,
        width=width,
        overrides=(*overrides, *painted({"none": GREY})),
    )
    bars = {"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80}
    return replace(panel, custom={**panel.custom, **bars})


def timeline(title: str, query: Query, description: str, *, none: str, height: int = 7) -> Panel:
    """Return the diagnoses over time, one band for each series."""
    return Panel(
        Kind.TIMELINE,
        title,
        description,
        24,
        height,
        (query,),
        none=none,
        steps=plain(),
        defaults={"mappings": list(diagnosis_words())},
        custom={"fillOpacity": 80, "lineWidth": 0, "spanNulls": False, "insertNulls": False},
        options={
            "alignValue": "left",
            "legend": _LEGEND,
            "mergeValues": True,
            "rowHeight": 0.85,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )


def text(title: str, content: str, description: str, *, height: int) -> Panel:
    """Return words, in Markdown."""
    options: Mapping[str, Any] = {"mode": "markdown", "content": content}
    return Panel(Kind.TEXT, title, description, 24, height, options=options)

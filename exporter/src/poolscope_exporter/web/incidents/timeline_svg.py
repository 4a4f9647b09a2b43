"""Draw the course of an incident: the diagnosis as colours, connections and callers as lines."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from poolscope_exporter.core.judging.diagnosis import Diagnosis

WIDTH: Final = 640
HEIGHT: Final = 140
_TOP, _BASE = 24, 104
_BAND: Final = 12
_LABELS: Final = 132

_COLOURS: Final = {Diagnosis.HEALTHY: "#2e7d32", Diagnosis.UNKNOWN: "#757575"}
_TROUBLE: Final = "#c62828"
_SUSPICION: Final = "#ef6c00"
_MILD: Final = frozenset({Diagnosis.FULL, Diagnosis.UNDERSIZED})


def timeline_svg(row: Mapping[str, Any]) -> str:
    """Return the timeline of an incident of the API as SVG, without any script or style.

    It may stand in a page or in a file. All texts in it are escaped.
    """
    points, step_s = row["timeline"], max(0.001, float(row["step_s"]))
    if not points:
        return ""
    end_s = float(points[-1]["at_s"]) + step_s
    begin_s = min(0.0, float(points[0]["at_s"]))
    scale = WIDTH / max(end_s - begin_s, step_s)
    most = max(1, *(max(p["used"] or 0, p["waiting"] or 0, p["limit"] or 0) for p in points))

    def x(at_s: float) -> float:
        return round((at_s - begin_s) * scale, 1)

    def y(value: float) -> float:
        return round(_BASE - (_BASE - _TOP) * value / most, 1)

    title = _plain(f"{row['service']} / {row['pool']}: {row['cause']}, {row['lasted_s']:.0f} s")
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            f' width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif"'
            ' font-size="11">'
        ),
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        (
            f'<text x="4" y="14" fill="#212121">used (blue), waiting (red), limit (grey);'
            f" 0 to {most:.0f}</text>"
        ),
        *_bands(points, step_s, x),
        _line(points, "limit", "#9e9e9e", x, y),
        _line(points, "used", "#1565c0", x, y),
        _line(points, "waiting", "#c62828", x, y),
        f'<text x="4" y="{_LABELS}" fill="#212121">{_plain(str(row["began_at"]))}</text>',
        (
            f'<text x="{WIDTH - 4}" y="{_LABELS}" fill="#212121" text-anchor="end">'
            f"{end_s - begin_s:.0f} s later</text>"
        ),
        "</svg>",
    ]
    return "".join(parts)


def _bands(points: Sequence[Mapping[str, Any]], step_s: float, x: Any) -> list[str]:
    """Return a rectangle for each stretch of one diagnosis; a gap in the data stays empty."""
    found: list[tuple[str, float, float]] = []
    for point in points:
        begin_s, diagnosis = float(point["at_s"]), str(point["diagnosis"])
        is_same = bool(found) and found[-1][0] == diagnosis and begin_s <= found[-1][2] + step_s
        if is_same:
            found[-1] = (diagnosis, found[-1][1], begin_s + step_s)
        else:
            found.append((diagnosis, begin_s, begin_s + step_s))
    return [
        f'<rect x="{x(begin_s)}" y="{_BASE + 2}" width="{max(1.0, x(end_s) - x(begin_s)):.1f}"'
        f' height="{_BAND}" fill="{_colour(diagnosis)}"><title>{_plain(diagnosis)}</title></rect>'
        for diagnosis, begin_s, end_s in found
    ]


def _line(points: Sequence[Mapping[str, Any]], field: str, colour: str, x: Any, y: Any) -> str:
    places = " ".join(
        f"{x(float(point['at_s']))},{y(float(point[field]))}"
        for point in points
        if point[field] is not None
    )
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _plain(text: str) -> str:
    """Return a text for XML, which admits no control characters even if they are escaped."""
    return escape("".join(each if each.isprintable() else "?" for each in text))


def _colour(diagnosis: str) -> str:
    known = next((each for each in Diagnosis if each == diagnosis), Diagnosis.UNKNOWN)
    return _COLOURS.get(known, _SUSPICION if known in _MILD else _TROUBLE)

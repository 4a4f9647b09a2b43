"""Render the page of incidents from the rows of the API: its only script copies evidence."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from poolscope_exporter.version import __version__
from poolscope_exporter.web.console.tickets.incident_ticket import incident_ticket
from poolscope_exporter.web.incidents.timeline_svg import timeline_svg

_PACKAGE = "poolscope_exporter.web"


def render_incidents(
    rows: Sequence[Mapping[str, Any]],
    *,
    matching: int,
    left_out: int,
    is_saved: bool,
    taken_at: str,
) -> str:
    """Return the page; every text from outside is escaped."""
    return _template().render(
        incidents=rows,
        more=matching - len(rows),
        left_out=left_out,
        is_saved=is_saved,
        taken_at=taken_at,
        version=__version__,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["known"] = _known
    environment.filters["ticket"] = incident_ticket
    environment.filters["timeline"] = _timeline
    return environment.get_template("incidents.html")


def _known(value: object) -> str:
    return "–" if value is None else str(value)  # noqa: RUF001 - an en dash, for people


def _timeline(row: Mapping[str, Any]) -> Markup:
    return Markup(timeline_svg(row))  # noqa: S704 - it escapes every text of its own

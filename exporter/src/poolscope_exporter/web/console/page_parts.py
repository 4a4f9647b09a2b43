"""Render the parts of the live pages with Jinja; every text from outside is escaped."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2s
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.environment import TemplateModule

from poolscope.catalogue import Phase
from poolscope_exporter.core.judging.sentences import WAITS_FOR
from poolscope_exporter.version import __version__
from poolscope_exporter.web.console.page_query import PageQuery

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_FEW: Final = 10


@dataclass(frozen=True, slots=True)
class PageView:
    """A live page: pieces of HTML by the id of their element, and the rows of each list in order.

    `template` has the frame around them, and `facts` what that frame shows besides.
    """

    template: str
    fragments: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, Any]
    token: str = ""


def render_view(view: PageView, query: PageQuery, path: str) -> str:
    """Return the whole page of a view."""
    return (
        _environment()
        .get_template(view.template)
        .render(
            fragments=view.fragments,
            lists=view.lists,
            template=view.template,
            token=view.token,
            query=query,
            path=path,
            version=__version__,
            **view.facts,
        )
    )


class Parts:
    """The fragments of a view while it is built, each from a macro of its template."""

    def __init__(self, template: str) -> None:
        self._modules = _macros(template), _macros("common_parts.html")
        self.fragments: dict[str, str] = {}
        self.lists: dict[str, tuple[str, ...]] = {}

    def add_part(self, element: str, macro: str, *values: Any) -> None:
        """Add the element with this id, as the macro renders it."""
        render = next(found for each in self._modules if (found := getattr(each, macro, None)))
        # Without spaces around it: a list must be empty without rows.
        self.fragments[element] = str(render(element, *values)).strip()

    def add_list(self, element: str, macro: str, rows: Mapping[str, Any]) -> None:
        """Add a list with one row for each key; the id of a row follows from its key."""
        ids = {f"{element}-{_digest(key)}": value for key, value in rows.items()}
        for row, value in ids.items():
            self.add_part(row, macro, value)
        self.lists[element] = tuple(ids)


def _digest(key: str) -> str:
    # A name from outside may have any length and any character.
    return blake2s(key.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["known"] = _known
    environment.filters["age"] = _age
    environment.filters["duration"] = duration
    environment.filters["waits_for"] = _waits_for
    environment.filters["rate"] = _rate
    environment.filters["seconds"] = time_text
    environment.globals["plural"] = _plural
    return environment


@cache
def _macros(template: str) -> TemplateModule:
    return _environment().get_template(template).module


def _number(value: object) -> str:
    """Return a number, or a dash if it is unknown, because 0 would be an answer."""
    return "–" if value is None else str(value)  # noqa: RUF001 - an en dash, for people


def _known(name: str | None) -> str:
    """Return a name; "unknown" if it is, because a session always has one, and "" is a name too."""
    return "unknown" if name is None else name or '""'


def _age(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"  # noqa: RUF001 - as above


def time_text(seconds: float | None) -> str:
    """Return a duration with three digits, in milliseconds below a second."""
    if seconds is None:
        return "–"  # noqa: RUF001 - as above
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def duration(seconds: float | None) -> str:
    """Return a duration in seconds; from two minutes on in minutes, from two hours on in hours."""
    if seconds is None:
        return "–"  # noqa: RUF001 - as above
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min"
    return f"{seconds // _HOUR_S:.0f} h"


def _rate(per_minute: float | None) -> str:
    if per_minute is None:
        return "–"  # noqa: RUF001 - as above
    return f"{per_minute:.0f}" if per_minute >= _FEW or not per_minute else f"{per_minute:.1f}"


def _waits_for(phase: Phase) -> str:
    return WAITS_FOR[phase]


def _plural(count: int, noun: str, several: str = "") -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {several or noun + 's'}"

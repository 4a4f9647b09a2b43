"""Render the live page: plain HTML that reloads itself, without any script."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.version import __version__
from poolscope_exporter.web.rows import (
    bouncer_row,
    checkout_row,
    group_by_configuration,
    pool_row,
    server_row,
)
from poolscope_exporter.web.worst_first import order_checkouts, order_pools

REFRESH_S = 2


def render_page(situation: Situation, taken_at: str, role: Role = Role.STANDALONE) -> str:
    """Return the page, the worst first; everything that an application said is escaped."""
    rows = {state.pool: pool_row(state) for state in situation.pools}
    return _template().render(
        servers=[server_row(view) for view in situation.servers],
        bouncers=[bouncer_row(view) for view in situation.bouncers],
        pools=[rows[state.pool] for state in order_pools(situation.pools)],
        configurations=group_by_configuration(rows.values()),
        checkouts=[checkout_row(each) for each in order_checkouts(situation.judgements)],
        taken_at=taken_at,
        role=role,
        withheld=situation.withheld,
        refresh_s=REFRESH_S,
        version=__version__,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = _number
    environment.filters["age"] = _age
    return environment.get_template("page.html")


def _number(value: object) -> str:
    """Return a number, or a dash where it is unknown: 0 would be an answer."""
    return "–" if value is None else str(value)  # noqa: RUF001 - an en dash, for people


def _age(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"  # noqa: RUF001 - as above

"""Render the live page: plain HTML that reloads, without any script."""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from poolscope.catalogue import Phase
from poolscope_exporter.core.fleet.process_names import process_names
from poolscope_exporter.core.judging.sentences import WAITS_FOR
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.model.trace_links import trace_link
from poolscope_exporter.version import __version__
from poolscope_exporter.web.lock_rows import root_blocker_row
from poolscope_exporter.web.rows import (
    Row,
    bouncer_row,
    checkout_row,
    group_by_configuration,
    group_by_server,
    pool_row,
    rejected_row,
    server_row,
)
from poolscope_exporter.web.selection import RowSelection
from poolscope_exporter.web.worst_first import order_checkouts, order_pools

REFRESH_S = 2

WORST: Final = 200
"""The most rows of a table; the number of the others is shown below it."""

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


EVERYTHING: Final = RowSelection()


def render_page(
    situation: Situation,
    taken_at: str,
    role: Role = Role.STANDALONE,
    wanted: RowSelection = EVERYTHING,
    trace_url: str | None = None,
) -> str:
    """Return the page of the selected rows, the worst first; every text from outside is escaped."""
    situation = wanted.narrowed(situation)
    most = WORST if wanted.limit is None else min(WORST, wanted.limit)
    names = process_names(situation.instances)
    rows = {state.pool: pool_row(state, names) for state in situation.pools}
    pools = [rows[state.pool] for state in order_pools(situation.pools)]
    worst = order_checkouts(situation.judgements)[:most]
    configurations = group_by_configuration(row for row in rows.values() if row["config_checks"])
    return _template().render(
        servers=[server_row(view) for view in situation.servers],
        blockers=[root_blocker_row(each, names) for each in situation.blockers[:most]],
        more_blockers=max(0, len(situation.blockers) - most),
        bouncers=[bouncer_row(view) for view in situation.bouncers],
        pools=pools[:most],
        more_pools=max(0, len(pools) - most),
        waiting=list(islice(_pools_with_waiters(pools), most)),
        configurations=configurations[:most],
        server_checks=group_by_server(rows.values()),
        more_configurations=max(0, len(configurations) - most),
        checkouts=[
            {
                **checkout_row(each, names),
                "trace_link": trace_link(trace_url, each.checkout.trace_id),
            }
            for each in worst
        ],
        more_checkouts=max(0, len(situation.judgements) - most),
        taken_at=taken_at,
        conditions=wanted.conditions,
        query={name: given for name, given in wanted.conditions.items() if name != "limit"},
        role=role,
        withheld=situation.withheld,
        rejected=[rejected_row(each, situation.taken_at_s) for each in situation.rejected[:most]],
        refresh_s=REFRESH_S,
        version=__version__,
    )


def _pools_with_waiters(pools: Iterable[Row]) -> Iterator[Row]:
    """Yield the pools with long-waiting callers, with the number of callers that are not listed.

    If a sender lists no callers but counts them, all of them are unlisted.
    """
    for pool in pools:
        true_count = pool["pending"] if pool["waiters"] is None else pool["waiters_waiting"]
        listed = sum(group["count"] for group in pool["waiters"] or ())
        waiting = max(true_count or 0, listed)
        if waiting:
            yield {**pool, "waiting": waiting, "unlisted": waiting - listed}


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = _number
    environment.filters["known"] = _known
    environment.filters["age"] = _age
    environment.filters["duration"] = _duration
    environment.filters["waits_for"] = _waits_for
    return environment.get_template("page.html")


def _number(value: object) -> str:
    """Return a number, or a dash if it is unknown, because 0 would be an answer."""
    return "–" if value is None else str(value)  # noqa: RUF001 - an en dash, for people


def _known(name: str | None) -> str:
    """Return a name; "unknown" if it is, because a session always has one, and "" is a name too."""
    return "unknown" if name is None else name or '""'


def _age(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"  # noqa: RUF001 - as above


def _duration(seconds: float) -> str:
    """Return a duration in seconds; from two minutes on in minutes, from two hours on in hours."""
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min"
    return f"{seconds // _HOUR_S:.0f} h"


def _waits_for(phase: Phase) -> str:
    return WAITS_FOR[phase]

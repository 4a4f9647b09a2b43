"""Write the evidence on held checkouts as plain text, ready for a ticket."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from poolscope_exporter.core.fleet.process_names import ProcessNames
from poolscope_exporter.core.judging.overview.held_groups import HeldGroup, TakingLine
from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.web.console.page_parts import duration
from poolscope_exporter.web.console.tickets.ticket_lines import (
    pool_dashboard_line,
    runbook_line,
    ticket_of,
)
from poolscope_exporter.web.rows import link_text

MAX_HOLDERS: Final = 20
"""The most checkouts that one text lists, those held longest."""

RUNBOOKS: Final[Mapping[Verdict, str]] = {
    Verdict.LEAKED: "PoolLeak",
    Verdict.LOST: "PoolSessionsEnded",
    Verdict.BLOCKED: "PoolBlocked",
    Verdict.IDLE_IN_TRANSACTION: "PoolIdleInTransaction",
    Verdict.HELD_IDLE: "PoolExhausted",
    Verdict.SLOW_QUERY: "PoolSlowQueries",
    Verdict.STALLED: "PoolStuck",
}
"""The runbook for each verdict that is a problem."""


def held_ticket(
    state: ServicePoolState, group: HeldGroup, names: ProcessNames, taken_at: str
) -> str:
    """Return the evidence on one group: what, who, since when, and how to end the sessions."""
    return ticket_of(_lines(state, group, names, taken_at))


def place_text(line: TakingLine) -> str:
    """Return a line of code with its function, or "unknown"."""
    if line.code_file is None:
        return "unknown"
    function = f" ({line.code_function})" if line.code_function else ""
    return f"{line.code_file}:{line.code_line}{function}"


def session_pid(judgement: Judgement) -> int | None:
    """Return the backend PID of a linked session; a PID without a link proves nothing."""
    return judgement.link.session.pid if isinstance(judgement.link, Link) else None


def _lines(
    state: ServicePoolState, group: HeldGroup, names: ProcessNames, taken_at: str
) -> Iterator[str]:
    name, count = state.name, len(group.judgements)
    noun = "connection" if count == 1 else "connections"
    evidence = f", evidence {group.evidence}" if group.evidence else ""
    yield f"{count} {noun} of pool {name.pool} of {name.service}: {group.verdict}{evidence}"
    yield f"as of {taken_at}, the oldest is held for {duration(group.oldest_s)}"
    yield f"route: {group.route or 'unknown'}"
    yield f"taken at: {place_text(group.taken_at)}"
    yield f"kept at: {group.kept_at or 'unknown'}"
    yield "holders (process, checkout, held for, session):"
    for each in islice(group.judgements, MAX_HOLDERS):
        yield f"  {_holder(each, names)}"
    if count > MAX_HOLDERS:
        yield f"  and {count - MAX_HOLDERS} more"
    pids = [pid for each in group.judgements if (pid := session_pid(each)) is not None]
    if pids:
        yield "to end these sessions (the statement in progress is lost):"
        for pid in pids[:MAX_HOLDERS]:
            yield f"  SELECT pg_terminate_backend({pid});"
    if runbook := RUNBOOKS.get(group.verdict):
        yield runbook_line(runbook)
    yield pool_dashboard_line(name)


def _holder(judgement: Judgement, names: ProcessNames) -> str:
    checkout = judgement.checkout
    instance = checkout.pool.instance
    process = names.get(instance, instance.id)
    pid = session_pid(judgement)
    session = link_text(judgement.link) if pid is None else f"backend {pid}"
    return f"{process}, checkout {checkout.id}, {duration(judgement.age_s)}, {session}"

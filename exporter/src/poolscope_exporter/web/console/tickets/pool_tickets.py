"""Write the evidence on a pool, its waiting callers and its leaks as text for a ticket."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from poolscope_exporter.core.fleet.pool_totals import LineLeaks
from poolscope_exporter.core.fleet.process_names import ProcessNames
from poolscope_exporter.core.incidents.alert_names import alerts_of
from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.core.judging.sentences import WAITS_FOR
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.web.console.page_parts import duration
from poolscope_exporter.web.console.tickets.ticket_lines import (
    pool_dashboard_line,
    runbook_line,
    ticket_of,
)

MAX_LINES: Final = 10
"""The most processes, groups of callers and lines with leaks in one text, the worst first."""

_LEAK_RUNBOOK: Final = "PoolLeak"
_QUEUE_RUNBOOK: Final = "PoolQueueLong"

Row = Mapping[str, Any]


def pool_ticket(state: ServicePoolState, names: ProcessNames, taken_at: str) -> str:
    """Return the evidence on a pool: its diagnosis, its numbers, and its worst processes."""
    return ticket_of(_pool_lines(state, names, taken_at))


def waiter_ticket(state: ServicePoolState, waiting: int, rows: Sequence[Row], taken_at: str) -> str:
    """Return the evidence on the waiting callers, "" if none waits; the rows are their groups."""
    return ticket_of(_waiter_lines(state, waiting, rows, taken_at)) if waiting else ""


def leak_ticket(state: ServicePoolState, leaks: Sequence[LineLeaks], taken_at: str) -> str:
    """Return the evidence on the counted leaks, "" if there is none."""
    return ticket_of(_leak_lines(state, leaks, taken_at)) if leaks else ""


def _pool_lines(state: ServicePoolState, names: ProcessNames, taken_at: str) -> Iterator[str]:
    sums, found = state.sums, state.worst
    probably = "probably " if found.is_probable else ""
    since = f" for {duration(state.since_s)}" if state.since_s is not None else ""
    yield f"{_pool_text(state)}: {probably}{found.diagnosis}{since}"
    yield f"as of {taken_at}, in {_counted(len(state.processes), 'process', 'processes')}"
    yield from found.reasons
    yield (
        f"connections: {_known(sums.used)} used, {_known(sums.idle)} idle,"
        f" limit {_known(sums.limit)}; {_known(sums.waiting)} callers waiting;"
        f" {state.leaked} leaked"
    )
    yield "processes (process, diagnosis, connections, waiting callers):"
    for each in state.processes[:MAX_LINES]:
        yield f"  {_process(each, names)}"
    if len(state.processes) > MAX_LINES:
        yield f"  and {len(state.processes) - MAX_LINES} more"
    yield from map(runbook_line, alerts_of([found.diagnosis]))
    yield pool_dashboard_line(state.name)


def _waiter_lines(
    state: ServicePoolState, waiting: int, rows: Sequence[Row], taken_at: str
) -> Iterator[str]:
    yield f"{_counted(waiting, 'caller waits', 'callers wait')} for {_pool_text(state)}"
    yield f"as of {taken_at}, diagnosis {state.worst.diagnosis}"
    yield "callers (phase, number, oldest, route, line that asks, line now):"
    shown = rows[:MAX_LINES]
    for row in shown:
        route, asks_at, now = (row[name] or "unknown" for name in ("route", "asks_at", "now"))
        phase = f"{row['phase']} ({WAITS_FOR[row['phase']]})"
        oldest = duration(row["oldest_s"])
        yield f"  {phase}, {row['count']}, {oldest}, {route}, {asks_at}, {now}"
    if more := waiting - sum(row["count"] for row in shown):
        yield f"  and {more} more"
    yield from map(runbook_line, alerts_of([state.worst.diagnosis]) or (_QUEUE_RUNBOOK,))
    yield pool_dashboard_line(state.name)


def _leak_lines(
    state: ServicePoolState, leaks: Sequence[LineLeaks], taken_at: str
) -> Iterator[str]:
    yield f"leaks of {_pool_text(state)} since the start of its processes"
    out = _counted(state.leaked, "leaked connection is", "leaked connections are")
    yield f"as of {taken_at}, {out} out"
    yield "leaks (number, returned later, evidence, route, line that took the connection):"
    for each in islice(leaks, MAX_LINES):
        route, site = each.place.route or "unknown", each.place.call_site or "unknown"
        yield f"  {each.leaks}, {each.recovered}, {each.place.evidence}, {route}, {site}"
    if len(leaks) > MAX_LINES:
        yield f"  and {len(leaks) - MAX_LINES} more lines"
    yield runbook_line(_LEAK_RUNBOOK)
    yield pool_dashboard_line(state.name)


def _pool_text(state: ServicePoolState) -> str:
    namespace, service, pool = state.name
    return f"pool {pool} of {service}" + (f" ({namespace})" if namespace else "")


def _process(state: PoolAssessment, names: ProcessNames) -> str:
    instance, numbers = state.pool.instance, state.numbers
    return (
        f"{names.get(instance, instance.id)}, {state.diagnosis.diagnosis},"
        f" {_known(numbers.used)} of {_known(numbers.max)} used, {_known(numbers.pending)} waiting"
    )


def _known(number: int | None) -> str:
    return "unknown" if number is None else str(number)


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"

"""Write the evidence on a session that keeps others waiting as text for a ticket."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.web.console.page_parts import duration
from poolscope_exporter.web.console.tickets.ticket_lines import (
    runbook_line,
    server_dashboard_line,
    ticket_of,
)

MAX_WAITERS: Final = 10
"""The most waiting sessions in one text, in the order of the tree."""

_RUNBOOK: Final = "PoolBlocked"

Row = Mapping[str, Any]


def blocker_ticket(row: Row, taken_at: str) -> str:
    """Return the evidence on a row of the API: the root, its queue, and the way to end it."""
    return ticket_of(_lines(row, taken_at))


def _lines(row: Row, taken_at: str) -> Iterator[str]:
    queue = row["queue"]
    waiting = f"{row['waiting']} session{'s wait' if row['waiting'] != 1 else ' waits'} behind it"
    yield f"{_backend(row['backend_pid'])} on {row['server']} ({row['kind']}): {waiting}"
    yield f"as of {taken_at}"
    yield f"session: {_session(row['session'])}"
    yield f"code: {_code(row)}"
    yield "queue (session, behind, code, state):"
    for each in queue[:MAX_WAITERS]:
        behind = ", ".join(map(str, (each["behind"], *each["also_behind"])))
        yield (
            f"  {_backend(each['backend_pid'])}, behind {behind},"
            f" {_code(each)}, {_session(each['session'])}"
        )
    if len(queue) > MAX_WAITERS:
        yield f"  and {len(queue) - MAX_WAITERS} more"
    if row["terminate"]:
        yield "to end the session (its transaction is rolled back):"
        yield f"  {row['terminate']};"
    elif row["kind"] == RootKind.DEADLOCK:
        yield "PostgreSQL ends it after deadlock_timeout"
    else:
        yield "to end it: see pg_prepared_xacts"
    yield runbook_line(_RUNBOOK)
    yield server_dashboard_line(row["server"])


def _backend(pid: int | None) -> str:
    return "prepared transaction" if pid is None else f"backend {pid}"


def _session(session: Row | None) -> str:
    if session is None:
        return "unknown"
    name = session["application_name"] or session["backend_type"] or "no name"
    age_s = session["transaction_age_s"]
    parts = [
        f"{session['role'] or 'unknown role'} in {session['database'] or 'unknown database'}",
        f"{name} from {session['client_address']}" if session["client_address"] else name,
        str(session["state"] or "unknown state"),
    ]
    if age_s is not None:
        parts.append(f"transaction for {duration(age_s)}")
    return ", ".join(parts)


def _code(party: Row) -> str:
    """Return the code that uses the connection of a session, or the pool, as far as known."""
    pool, checkout = party["pool"], party["checkout"]
    if pool is None:
        return "not a known pool"
    place = f"pool {pool['pool']} of {pool['service']} in {pool['process']}"
    if party["is_idle_in_pool"]:
        last = party["last_checkout"]
        return f"idle in {place}" + (f", last listed at {_line(last)}" if last else "")
    if checkout is None:
        return place
    now = f", {checkout['now']['summary']}" if checkout["now"] else ""
    return f"{checkout['route'] or 'unknown route'} at {_line(checkout)} in {place}{now}"


def _line(checkout: Row) -> str:
    file = checkout["code_file"]
    return "unknown line" if file is None else f"{file}:{checkout['code_line']}"

"""Write the evidence on an incident as text for a ticket."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from poolscope_exporter.core.judging.overview.service_pools import PoolName
from poolscope_exporter.web.console.page_parts import duration
from poolscope_exporter.web.console.tickets.ticket_lines import (
    pool_dashboard_line,
    runbook_line,
    ticket_of,
)

MAX_HOLDERS: Final = 5
MAX_CHANGES: Final = 5
"""The most holders and changes in one text; the report of the incident has the others."""

Row = Mapping[str, Any]


def incident_ticket(row: Row) -> str:
    """Return the evidence on a row of the API.

    It has no statement to end sessions: a PID of that time may be another session's now.
    """
    return ticket_of(_lines(row))


def _lines(row: Row) -> Iterator[str]:
    peaks, worst = row["peaks"], row["worst"]
    yield f"incident {row['incident']} of pool {row['pool']} of {row['service']}: {row['cause']}"
    ended = f"ended {row['ended_at']} ({row['ended_by']})" if row["ended_at"] else "still open"
    yield f"since {row['began_at']}, lasted {duration(row['lasted_s'])}, {ended}"
    if row["unobserved_s"]:
        yield f"the exporter did not run for {duration(row['unobserved_s'])} of it"
    yield (
        f"at most {peaks['waiting']} callers waiting, {peaks['timeouts']} time-outs and"
        f" {peaks['failures']} failures within 30 s, {peaks['leaked']} leaked connections,"
        f" {peaks['used']} used, {peaks['processes']} processes"
    )
    yield "changes of the diagnosis:"
    for change in row["changes"][:MAX_CHANGES]:
        yield f"  {change['at']} {change['diagnosis']}: {change['reason']}"
    yield from _more(max(0, len(row["changes"]) - MAX_CHANGES) + row["changes_left_out"])
    yield f"worst moment, {worst['at']} (verdict, number, oldest, route, taken at, kept by, in):"
    for each in worst["holders"][:MAX_HOLDERS]:
        yield f"  {_holder(each)}"
    yield from _more(len(worst["holders"]) - MAX_HOLDERS)
    yield from map(runbook_line, row["alerts"])
    yield pool_dashboard_line(PoolName(row["service_namespace"], row["service"], row["pool"]))
    yield f"report: poolscope-exporter report {row['incident']}"


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"  and {count} more"


def _holder(group: Row) -> str:
    places = (group[name] or "unknown" for name in ("route", "taken_at", "kept_by"))
    pids = ", ".join(map(str, group["backend_pids"]))
    backends = f", backends then {pids}" if pids else ""
    return (
        f"{group['verdict']}, {group['count']}, {duration(group['oldest_s'])},"
        f" {', '.join(places)}, {group['process']}{backends}"
    )

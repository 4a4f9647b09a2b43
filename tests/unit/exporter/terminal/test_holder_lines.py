"""Holders are grouped as on the page of a pool, and their evidence is the page's text."""

from poolscope_exporter.core.judging.overview.waiting_callers import merged_waiters
from poolscope_exporter.terminal.holder_lines import (
    HolderColumn,
    WaiterColumn,
    evidence_text,
    holder_cells,
    holder_lines,
    line_evidence,
    waiter_cells,
)
from poolscope_exporter.terminal.pool_lines import PoolChoice, PoolLine, pool_lines
from poolscope_exporter.terminal.reported import ReportedNow, ReportedWaiters
from poolscope_exporter.terminal.states import PoolsReading
from support.exporter.prepared_source import TAKEN_AT, a_reading
from support.exporter.reported import a_reported_checkout, a_reported_pool

POOL = a_reported_pool(service_instance_id="a1", process="web:1")
NOW = ReportedNow("waiting in httpx.get at pay.py:5", "pay.py", 5, "httpx.get")


def only_line(reading: PoolsReading) -> PoolLine:
    [line] = pool_lines(reading, PoolChoice())
    return line


def test_checkouts_with_equal_verdict_route_and_lines_are_one_line_with_their_pids() -> None:
    same = [a_reported_checkout(checkout_id=n, backend_pid=n, age_s=float(n)) for n in range(1, 6)]
    other = a_reported_checkout(checkout_id=9, verdict="held_idle", evidence=None, now=NOW)
    reading = a_reading([POOL], [*same, other])
    first, second = holder_lines(reading, only_line(reading))
    cells = {column: cell.text for column, cell in holder_cells(first.group).items()}
    assert cells[HolderColumn.VERDICT] == "leaked"
    assert (cells[HolderColumn.COUNT], cells[HolderColumn.OLDEST]) == ("5", "5.0 s")
    assert cells[HolderColumn.PIDS] == "5, 4, 3 and 2 more"
    assert cells[HolderColumn.TAKEN_AT] == "shop/app.py:12"
    assert holder_cells(second.group)[HolderColumn.KEPT_AT].text == NOW.summary


def test_a_pid_without_a_link_is_not_shown_and_no_statement_ends_it() -> None:
    unlinked = a_reported_checkout(link="unlinked:no_server", server_state=None)
    reading = a_reading([POOL], [unlinked])
    [line] = holder_lines(reading, only_line(reading))
    cells = holder_cells(line.group)
    assert cells[HolderColumn.PIDS].text == "?"
    assert cells[HolderColumn.LINK].text == "unlinked:no_server"
    assert "pg_terminate_backend" not in evidence_text(reading, [line])


def test_the_evidence_is_the_text_of_the_page() -> None:
    reading = a_reading([POOL], [a_reported_checkout(code_function="export")])
    assert line_evidence(reading, only_line(reading)).splitlines() == [
        "1 connection of pool orders of shop: leaked, evidence request_finished",
        f"as of {TAKEN_AT}, the oldest is held for 3 s",
        "route: /orders/{order_id}/export",
        "taken at: shop/app.py:12 (export)",
        "kept at: unknown",
        "holders (process, checkout, held for, session):",
        "  web:1, checkout 7, 3 s, backend 4242",
        "to end these sessions (the statement in progress is lost):",
        "  SELECT pg_terminate_backend(4242);",
        "runbook: https://github.com/poolscope/poolscope/blob/main/alerts/runbooks/PoolLeak.md",
        "dashboard (path in Grafana): /d/poolscope-pool?var-service=shop&var-pool=orders",
    ]


def test_a_pool_without_holders_has_its_diagnosis_as_evidence() -> None:
    reading = a_reading([POOL])
    assert line_evidence(reading, only_line(reading)).splitlines() == [
        f"shop / orders: leaking, as of {TAKEN_AT}",
        "3 of 10 connections have leaked",
    ]


def test_waiting_callers_of_several_processes_are_one_line() -> None:
    waiters = ReportedWaiters("queue", "/pay", "pay.py", 9, "pay", 2.0, 4)
    older = ReportedWaiters("queue", "/pay", "pay.py", 9, "pay", 8.0, 1, NOW)
    pools = [
        a_reported_pool(service_instance_id="a1", waiters=(waiters,)),
        a_reported_pool(service_instance_id="a2", waiters=(older,)),
    ]
    [group] = merged_waiters(only_line(a_reading(pools)).state.processes)
    cells = {column: cell.text for column, cell in waiter_cells(group).items()}
    assert cells == {
        WaiterColumn.PHASE: "for a place in the pool",
        WaiterColumn.COUNT: "5",
        WaiterColumn.OLDEST: "8.0 s",
        WaiterColumn.ROUTE: "/pay",
        WaiterColumn.LINE: "pay.py:9",
        WaiterColumn.NOW: "waiting in httpx.get at pay.py:5",
    }

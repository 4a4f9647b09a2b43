"""Incidents outlive the exporter: SIGKILL, a full disk, a damaged file."""

import os
import signal
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolscope import catalogue
from poolscope_exporter.state.incident_file import ASIDE, NAME
from support.applications.apps import instrumented
from support.applications.dbapi import an_engine
from support.exporter.api_schema import problems_of
from support.exporter.exporter_process import PUSH_INTERVAL_S, ExporterProcess, run_to_the_end
from support.exporter.otlp_messages import POOL, a_gauge, a_marker, a_request, gauges, number
from support.processes.child_processes import wait_until

TAKEN_AT: dict[str, object] = {
    catalogue.CODE_FILE_PATH: "shop/orders.py",
    catalogue.CODE_LINE_NUMBER: 133,
    catalogue.HTTP_ROUTE: "/orders",
}


def a_push(sequence: int, waiting: int) -> bytes:
    """Return a push of a full pool with waiting callers and one holder, or of a calm one."""
    used = {**POOL, catalogue.CONNECTION_STATE: "used"}
    queue = {**POOL, catalogue.PHASE: "queue"}
    held = {**POOL, catalogue.CHECKOUT_ID: 1, **TAKEN_AT}
    is_full = waiting > 0
    return a_request(
        a_gauge(catalogue.COUNT.name, 5 if is_full else 0, used, catalogue.COUNT.unit),
        a_gauge(catalogue.MAX.name, 5, unit=catalogue.MAX.unit),
        a_gauge(catalogue.PENDING_REQUESTS.name, waiting, unit=catalogue.PENDING_REQUESTS.unit),
        a_gauge(catalogue.PENDING.name, waiting, queue, catalogue.PENDING.unit),
        a_gauge(catalogue.PENDING_AGE.name, 9.0, queue, catalogue.PENDING_AGE.unit),
        push=(
            a_marker(sequence, **{catalogue.PUSH_INTERVAL: 2.0}),
            *([gauges(catalogue.CHECKOUT_AGE.name, number(10.0 + sequence, held))] * is_full),
            gauges(catalogue.CHECKOUTS_HELD.name, number(int(is_full))),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(int(is_full))),
        ),
    ).SerializeToString()


def incidents(exporter: ExporterProcess) -> list[dict[str, Any]]:
    return list(exporter.get("/api/v1/incidents").json()["incidents"])


def push_until(exporter: ExporterProcess, waiting: int, is_seen: Callable[[], bool]) -> None:
    sequence = 0

    def pushed() -> bool:
        nonlocal sequence
        sequence += 1
        assert exporter.push(a_push(sequence, waiting)).status_code == 200
        return is_seen()

    assert wait_until(pushed, 30), incidents(exporter)


def worst_waiting(exporter: ExporterProcess) -> int:
    return max((each["worst"]["waiting"] or 0 for each in incidents(exporter)), default=0)


def test_an_exporter_killed_in_an_incident_shows_it_again_with_its_worst_moment(
    tmp_path: Path,
) -> None:
    with ExporterProcess("--state-dir", str(tmp_path)) as exporter:
        push_until(exporter, 9, lambda: worst_waiting(exporter) == 9)
        (before,) = incidents(exporter)
        assert wait_until(lambda: b"shop/orders.py" in (tmp_path / NAME).read_bytes())
        exporter.process.send_signal(signal.SIGKILL)
        exporter.process.wait()

    with ExporterProcess("--state-dir", str(tmp_path)) as exporter:
        assert wait_until(lambda: len(incidents(exporter)) == 1)
        (after,) = incidents(exporter)
        answer, document = (
            exporter.get(path).json() for path in ("/api/v1/incidents", "/openapi.json")
        )
        assert problems_of(answer, "/api/v1/incidents", document) == []
        assert answer["is_saved"]
        assert "shop/orders.py:133" in exporter.get("/incidents").text
        # It goes on: a lesser moment after the restart does not replace the worst one.
        push_until(exporter, 2, lambda: incidents(exporter)[0]["timeline"][-1]["waiting"] == 2)
        (later,) = incidents(exporter)

    assert after["incident"] == before["incident"] == later["incident"]
    assert after["worst"] == before["worst"] == later["worst"]
    assert after["worst"]["holders"][0]["taken_at"] == "shop/orders.py:133"
    assert later["ended_at"] is None
    assert later["unobserved_s"] > 0


def test_an_incident_keeps_the_report_of_the_app_whose_callers_gave_up(tmp_path: Path) -> None:
    with (
        ExporterProcess("--state-dir", str(tmp_path)) as exporter,
        instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S),
    ):
        engine = an_engine(pool_logging_name="orders")
        held = [engine.connect() for _ in range(3)]
        with pytest.raises(PoolTimeoutError):
            engine.connect()
        assert wait_until(lambda: any(each["timeout_report"] for each in incidents(exporter)))
        assert wait_until(lambda: b"in test_an_incident_keeps" in (tmp_path / NAME).read_bytes())
        (before,) = incidents(exporter)
        page = exporter.get("/incidents").text
        report = run_to_the_end("report", "--url", exporter.web)
        for connection in held:
            connection.close()

    with ExporterProcess("--state-dir", str(tmp_path)) as exporter:
        assert wait_until(lambda: len(incidents(exporter)) == 1)
        (after,) = incidents(exporter)

    reported = before["timeout_report"]
    first, *lines = reported["text"].splitlines()
    assert first.startswith("pool orders: callers gave up after 0.01 s; now 3 used of 3, 0 idle")
    assert len([line for line in lines if "test_incident_state.py:" in line]) >= 3
    assert reported["process"].endswith(f":{os.getpid()}")
    assert "&lt;locals&gt;" in page
    for shown in (unescape(page), report.stdout):
        assert first in shown
        assert lines[0].strip() in shown
    assert after["timeout_report"] == reported


def test_a_damaged_file_is_moved_aside_with_one_line_in_the_log(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"garbage" * 1000)
    with ExporterProcess("--state-dir", str(tmp_path)) as exporter:
        push_until(exporter, 9, lambda: worst_waiting(exporter) == 9)
        assert wait_until(lambda: b"shop/orders.py" in (tmp_path / NAME).read_bytes())
        log = exporter.log

    assert (tmp_path / ASIDE).read_bytes().startswith(b"garbage")
    assert log.count("moved aside") == 1


@pytest.mark.parametrize("folder", ["/proc/poolscope", "/dev/full/poolscope"])
def test_a_disk_that_cannot_be_written_harms_nothing(folder: str) -> None:
    with ExporterProcess("--state-dir", folder) as exporter:
        push_until(exporter, 9, lambda: worst_waiting(exporter) == 9)
        assert exporter.get("/readyz").status_code == 200
        assert not exporter.get("/api/v1/incidents").json()["is_saved"]
        log = exporter.log

    assert log.count("incidents are not saved") == 1
    assert "Traceback" not in log


def test_without_a_state_directory_an_incident_ends_with_the_exporter() -> None:
    with ExporterProcess() as exporter:
        push_until(exporter, 9, lambda: worst_waiting(exporter) == 9)
    with ExporterProcess() as exporter:
        assert incidents(exporter) == []

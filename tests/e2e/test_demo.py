"""The demo as a new user runs it: processes from outside, and a look of our own at the server."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolscope_exporter import demo as demo_package
from poolscope_exporter.demo.findings import FIELDS
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.live_pages import shown_on_pages
from support.postgres.server import run_sql
from support.processes.child_processes import processes_that_mention, wait_until

COMMAND = str(Path(sys.executable).with_name("poolscope-exporter"))
SAMPLE_APP = Path(demo_package.__file__).with_name("sample_app.py")
RUNS_S = (30, 60, 120)
"""A busy machine gets a longer run: the demo is over before everything was found."""

STUCK_AFTER_S = 60
EXPORT = "/orders/{order_id}/export"
HEALTHY = "/orders/{order_id}"
PASSWORD = "never-to-be-printed"


@dataclass(frozen=True, slots=True)
class Seen:
    """One finding, and what pg_stat_activity said of its backend at that moment."""

    finding: dict[str, Any]
    state: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run of the demo, afterwards."""

    seen: tuple[Seen, ...]
    output: str
    errors: str
    exit_code: int
    left_running: dict[int, str]
    left_in_folder: list[str]
    left_in_database: list[Any]

    @property
    def has_everything(self) -> bool:
        """Return whether each kind of finding is there that the tests look at."""
        leaks = [each for each in self.of_route(EXPORT) if each["verdict"] == "leaked"]
        return len(leaks) > 1 and bool(self.of_route("/reports") and self.of_route("/checkout"))

    def of_route(self, route: str) -> list[dict[str, Any]]:
        return [seen.finding for seen in self.seen if seen.finding["route"] == route]


def start_demo(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the demo; its temporary files, and so its processes, can be told by `folder`."""
    return subprocess.Popen(
        [COMMAND, "demo", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )


def state_of(server: EmbeddedPostgres, pid: int) -> str | None:
    rows = run_sql(server.dsn, "SELECT state FROM pg_stat_activity WHERE pid = %s", pid)
    return rows[0][0] if rows else None


@pytest.fixture(scope="module")
def run(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return one run of the demo, on a server that the test sees too."""
    for run_s in RUNS_S:
        last = run_demo(postgres, tmp_path_factory.mktemp("demo"), run_s)
        if last.has_everything:
            break
    return last


def run_demo(postgres: EmbeddedPostgres, folder: Path, run_s: int) -> Run:
    """Run the demo with `--for … --json` until it ends by itself."""
    dsn = postgres.dsn_for("postgres", PASSWORD)
    with start_demo(folder, "--for", str(run_s), "--json", "--dsn", dsn) as demo:
        assert demo.stdout is not None
        watchdog = threading.Timer(run_s + STUCK_AFTER_S, demo.kill)
        watchdog.start()
        lines, seen = [], []
        for line in demo.stdout:
            finding = json.loads(line)
            lines.append(line)
            seen.append(Seen(finding, state_of(postgres, finding["backend_pid"])))
        errors = demo.stderr.read() if demo.stderr else ""
        watchdog.cancel()
    return Run(
        seen=tuple(seen),
        output="".join(lines),
        errors=errors,
        exit_code=demo.returncode,
        left_running=processes_that_mention(str(folder)),
        left_in_folder=[path.name for path in folder.iterdir()],
        left_in_database=run_sql(
            postgres.dsn,
            "SELECT nspname FROM pg_namespace WHERE nspname = 'poolscope_demo'",
        ),
    )


def line_of(text: str) -> int:
    """Return the number of the one line of the sample app that contains `text`."""
    source = SAMPLE_APP.read_text()
    (number,) = [n for n, line in enumerate(source.splitlines(), 1) if text in line]
    return number


def test_the_leak_is_reported_with_its_evidence_route_file_and_line(run: Run) -> None:
    leaks = [finding for finding in run.of_route(EXPORT) if finding["verdict"] == "leaked"]
    assert len(leaks) >= 2
    for leak in leaks:
        assert leak["evidence"] == "request_finished"
        assert leak["service"] == "shop"
        assert leak["code_file"].endswith("sample_app.py")
        assert leak["code_line"] == line_of("await engine.connect()")


def test_the_leak_is_linked_to_its_session_whose_state_is_what_the_server_says(run: Run) -> None:
    leaks = [seen for seen in run.seen if seen.finding["verdict"] == "leaked"]
    assert leaks
    for leak in leaks:
        assert leak.finding["link"] == "address"
        assert leak.finding["server_state"] == leak.state == "idle in transaction"


def test_each_leak_is_another_connection(run: Run) -> None:
    pids = [leak["backend_pid"] for leak in run.of_route(EXPORT) if leak["verdict"] == "leaked"]
    assert len(set(pids)) == len(pids)


def test_the_slow_query_is_called_slow_and_nothing_else(run: Run) -> None:
    reports = [seen for seen in run.seen if seen.finding["route"] == "/reports"]
    assert {seen.finding["verdict"] for seen in reports} == {"slow_query"}
    assert all(seen.finding["server_state"] == seen.state == "active" for seen in reports)


def test_the_transaction_that_waits_for_somebody_else_is_called_idle(run: Run) -> None:
    payments = run.of_route("/checkout")
    assert payments
    assert {payment["verdict"] for payment in payments} <= {"idle_in_transaction", "held_idle"}


def test_what_keeps_a_connection_is_named_with_its_line(run: Run) -> None:
    """The connection of `/checkout` waits for a payment, that of `/reports` for the database."""
    payments = [found["now"] for found in run.of_route("/checkout")]
    assert {now["call"] for now in payments} == {"asyncio.sleep"}
    assert {now["code_line"] for now in payments} == {line_of("await asyncio.sleep(PAYMENT_S)")}
    reports = [found["now"] for found in run.of_route("/reports")]
    assert {now["call"] for now in reports} == {"sqlalchemy.ext.asyncio.AsyncSession.execute"}
    assert {now["code_line"] for now in reports} == {line_of("session.execute(turnover)")}


def test_nobody_keeps_a_leaked_connection(run: Run) -> None:
    leaks = [finding for finding in run.of_route(EXPORT) if finding["verdict"] == "leaked"]
    assert {str(leak["now"]) for leak in leaks} == {"None"}


def test_only_the_leaking_route_is_accused_and_the_healthy_one_never_appears(run: Run) -> None:
    accused = {seen.finding["route"] for seen in run.seen if seen.finding["verdict"] == "leaked"}
    assert accused == {EXPORT}
    assert run.of_route(HEALTHY) == []


def test_each_line_is_one_finding_with_exactly_the_documented_keys(run: Run) -> None:
    assert run.seen
    for seen in run.seen:
        assert tuple(seen.finding) == FIELDS


def test_it_ends_by_itself_and_leaves_nothing_behind(run: Run) -> None:
    assert run.exit_code == 0, run.errors
    assert run.left_running == {}
    assert run.left_in_folder == []
    assert run.left_in_database == []


def test_it_says_where_everything_is_and_never_a_password(run: Run) -> None:
    for shown in ("live page   http://127.0.0.1:", "/metrics", "Ctrl-C"):
        assert shown in run.errors
    assert PASSWORD not in run.output + run.errors


@pytest.fixture
def embedded_demo(open_folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a running demo on its embedded server, in the moment that everything runs."""
    with start_demo(open_folder) as demo:
        assert demo.stdout is not None
        shown = []
        for line in demo.stdout:
            shown.append(line)
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail(f"the demo did not start: {shown} {demo.stderr and demo.stderr.read()}")
        yield demo
        demo.kill()
    # Only where a test has failed: what it left would be in the way of the next one.
    for pid in processes_that_mention(str(open_folder)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


TAKEN_OR_KEPT = {
    EXPORT: ("await engine.connect()", None),
    "/reports": ("session.execute(turnover)", "sqlalchemy.ext.asyncio.AsyncSession.execute"),
    "/checkout": ("await asyncio.sleep(PAYMENT_S)", "asyncio.sleep"),
}
"""By route, the line to change, and the call that keeps the connection there."""


def test_the_terminal_and_the_page_name_the_line_of_each_problem(open_folder: Path) -> None:
    missing = set(TAKEN_OR_KEPT)
    with start_demo(open_folder, "--for", str(max(RUNS_S))) as demo:
        assert demo.stdout is not None
        watchdog = threading.Timer(max(RUNS_S) + STUCK_AFTER_S, demo.kill)
        watchdog.start()
        page, lines = "", []
        for line in demo.stdout:
            lines.append(line)
            page = page or line.partition("live page   ")[2].strip()
            for route in {each for each in missing if f" {each} " in line and names(line, each)}:
                text = pages_of(page)
                assert names(text, route), text
                missing.remove(route)
            if not missing:
                break
        demo.terminate()
        demo.communicate(timeout=90)
        watchdog.cancel()
    assert not missing, lines


def pages_of(address: str) -> str:
    """Return the text of all live pages of an exporter; `address` is that of the first."""
    with httpx.Client(base_url=address, trust_env=False) as client:
        return shown_on_pages(lambda path: client.get(path).text)


def names(text: str, route: str) -> bool:
    """Return whether a text has the line of a problem, and the call that is made there."""
    source, call = TAKEN_OR_KEPT[route]
    return f"sample_app.py:{line_of(source)}" in text and (call or "") in text


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_every_process_and_removes_what_was_made(
    embedded_demo: subprocess.Popen[str], open_folder: Path, stop_signal: signal.Signals
) -> None:
    assert len(processes_that_mention(str(open_folder))) >= 4
    embedded_demo.send_signal(stop_signal)
    _, errors = embedded_demo.communicate(timeout=90)
    assert embedded_demo.returncode == 0
    assert errors == ""
    assert processes_that_mention(str(open_folder)) == {}
    assert list(open_folder.iterdir()) == []


def test_a_demo_that_is_killed_takes_its_processes_along(
    embedded_demo: subprocess.Popen[str], open_folder: Path
) -> None:
    embedded_demo.kill()
    assert wait_until(lambda: not processes_that_mention(str(open_folder)))
    assert list(open_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "name"), [("sample_app:app", "sample app"), ("poolscope_exporter.cli", "exporter")]
)
def test_a_process_that_dies_ends_the_demo_with_one_clear_error(
    embedded_demo: subprocess.Popen[str], open_folder: Path, program: str, name: str
) -> None:
    (pid,) = [
        pid
        for pid, command in processes_that_mention(str(open_folder)).items()
        if program in command
    ]
    os.kill(pid, signal.SIGKILL)
    _, errors = embedded_demo.communicate(timeout=90)
    assert embedded_demo.returncode == 1
    assert f"the {name} ended unexpectedly with exit code -9" in errors
    assert "Traceback" not in errors
    assert processes_that_mention(str(open_folder)) == {}
    assert list(open_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("dsn", "exit_code", "message"),
    [
        ("postgresql://shop:s3cret@127.0.0.1:1/shop", 1, "cannot create the schema"),
        ("postgresql://shop:s3cret@[::1/shop", 2, "is not a PostgreSQL DSN"),
    ],
)
def test_a_wrong_dsn_is_one_clear_error_without_the_password(
    open_folder: Path, dsn: str, exit_code: int, message: str
) -> None:
    with start_demo(open_folder, "--dsn", dsn) as demo:
        output, errors = demo.communicate(timeout=90)
    assert demo.returncode == exit_code
    assert message in errors
    assert "s3cret" not in output + errors
    assert "Traceback" not in errors
    assert list(open_folder.iterdir()) == []

"""One run of a suite in a pytest process, bare or instrumented."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from poolscope_exporter import clock
from poolscope_peers.databases import postgres_port
from poolscope_peers.folders import INSTRUMENTATION, INSTRUMENTED, PLUGINS, PYTHON, RESULTS
from poolscope_peers.outcomes import Outcomes, read_outcomes
from poolscope_peers.push_sink import PushServer
from poolscope_peers.suites import PORT, Suite

# A test that hangs fails; a suite that hangs ends, and its other tests count as missing.
TEST_TIMEOUT_S = 300
RUN_TIMEOUT_S = 3600

OPTIONS = [
    # Without -c, pytest would take our own pyproject.toml, which is above the suite's folder.
    *("-q", "-c", "pyproject.toml", "--continue-on-collection-errors"),
    *("-p", "node_ids", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"),
    # An instrumented interpreter imports anyio before pytest can rewrite its assertions.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
    f"--timeout={TEST_TIMEOUT_S}",
]

FOREIGN = ("POOLSCOPE_", "OTEL_", "PG", "PYTEST_", "PYTHONPATH")
"""Beginnings of the developer's own variables that would change a run."""


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """The result of one run; a bare run has no starts, hook errors and pushes."""

    outcomes: Outcomes
    duration_s: float
    starts: int
    hook_errors: tuple[str, ...]
    pushes: int


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A suite with its unpacked tests; `only` is the one test to run, by node id."""

    suite: Suite
    folder: Path
    is_instrumented: bool
    only: str = ""

    @property
    def label(self) -> str:
        """Return the beginning of the names of this run's files."""
        kind = "instrumented" if self.is_instrumented else "bare"
        return f"{self.suite.name}-{kind}{'-rerun' if self.only else ''}"

    def file(self, ending: str) -> Path:
        """Return the path of one of this run's files."""
        return RESULTS / f"{self.label}.{ending}"


def run_suite(request: RunRequest) -> SuiteRun:
    """Run the tests with a server and a receiver of this run alone."""
    for ending in ("xml", "jsonl"):
        request.file(ending).unlink(missing_ok=True)
    begin = clock.monotonic()
    with postgres_port(is_needed=request.suite.needs_postgres) as port, PushServer() as receiver:
        _run_pytest(_command(request, port), _environment(request, port, receiver), request)
        pushes = receiver.pushes
    return _result(request, clock.monotonic() - begin, pushes)


def _command(request: RunRequest, port: int) -> list[str]:
    suite = request.suite
    targets = (request.only.partition("::")[0],) if request.only else suite.targets
    options = [each.replace(PORT, str(port)) for each in suite.options]
    junit = f"--junitxml={request.file('xml')}"
    # Not `python -m pytest`, which makes the folder importable in place of the installed package.
    pytest = str(PYTHON.with_name("pytest"))
    return [pytest, *OPTIONS, junit, *options, *targets]


def _environment(request: RunRequest, port: int, receiver: PushServer) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    given = request.suite.environment
    suite = {name: value.replace(PORT, str(port)) for name, value in given.items()}
    paths = [PLUGINS, *([INSTRUMENTED, INSTRUMENTATION] if request.is_instrumented else [])]
    fixed = {
        "PEERS_ENDPOINT": receiver.endpoint,
        "PEERS_LOG": str(request.file("jsonl")),
        "PEERS_ONLY": request.only,
        # The same order of sets, and so of generated tests, in both runs.
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    return ours | suite | fixed


def _run_pytest(command: list[str], environment: Mapping[str, str], request: RunRequest) -> None:
    with request.file("log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=request.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            process.wait(RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            log.write(b"peers: the run took too long and was ended\n")
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the tests and what they started: some leave servers behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _result(request: RunRequest, duration_s: float, pushes: int) -> SuiteRun:
    junit, log = request.file("xml"), request.file("jsonl")
    lines = log.read_text().splitlines() if log.exists() else []
    records = [json.loads(line) for line in lines]
    return SuiteRun(
        outcomes=read_outcomes(junit.read_text()) if junit.exists() else {},
        duration_s=duration_s,
        starts=sum("started" in each for each in records),
        hook_errors=tuple(each["error"] for each in records if "error" in each),
        pushes=pushes,
    )

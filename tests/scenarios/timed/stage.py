"""What a timed run needs: an exporter at its default settings, and programs at theirs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess, clean_environment
from support.postgres.server import make_role
from support.processes.child_processes import wait_until

TESTS = Path(__file__).parents[2]


@contextmanager
def an_exporter(
    folder: Path,
    servers: Mapping[str, EmbeddedPostgres],
    consoles: Sequence[str] = (),
    cpus: float | None = None,
) -> Iterator[ExporterProcess]:
    """Yield an exporter that sees the servers, and the PgBouncers before them.

    It knows the number of their CPUs only where `cpus` gives it.
    """
    file = folder / "exporter.toml"
    tables = []
    for name, server in servers.items():
        dsn = make_role(server, "monitor", member_of=("pg_read_all_stats",))
        lines = [f'name = "{name}"', f'dsn = "{dsn}"', f"pgbouncers = {json.dumps(list(consoles))}"]
        lines += [] if cpus is None else [f"cpus = {cpus}"]
        tables.append("[[server]]\n" + "\n".join(lines) + "\n")
    file.write_text("".join(tables))
    with ExporterProcess("--config", str(file)) as exporter:
        assert wait_until(lambda: _all_up(exporter)), exporter.log
        yield exporter


def _all_up(exporter: ExporterProcess) -> bool:
    told = exporter.get("/api/v1/pools").json()
    return all(each["up"] for each in (*told["servers"], *told["pgbouncers"]))


@contextmanager
def a_program(
    command: Sequence[str], ways: Mapping[str, str], endpoint: str, log: Path, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a program of ours that runs, its pools pushing to the exporter.

    It ends with all that it forked.
    """
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = clean_environment(
        PYTHONPATH=os.pathsep.join(filter(None, paths)),
        SCENARIO_WAYS=json.dumps(dict(ways)),
        OTEL_SERVICE_NAME="scenarios",
        POOLSCOPE_ENDPOINT=endpoint,
        **variables,
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

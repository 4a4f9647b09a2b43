"""The whole demo: database, exporter, sample app and load, until its time ends or Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.database import Database, embedded_database, given_database
from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.demo.exporter_api import ExporterApi
from poolscope_exporter.demo.guard import Guard
from poolscope_exporter.demo.load import run_load
from poolscope_exporter.demo.ports import HOST, free_ports, other_demos_wait
from poolscope_exporter.demo.processes import ChildProcess, watch
from poolscope_exporter.demo.views import Addresses, View, choose_view

EXPORTER_PORT = 9736
OTLP_PORT = 9737
SERVICE = "shop"
SNAPSHOT_INTERVAL_S = 0.5
MOST_FAILURES = 5
PUSH_INTERVAL_S = 1
POLL_INTERVAL_S = 1

# $1 is the folder with the logs, to which the processes may write for some more seconds.
WHEN_WE_DIED = 'sleep 6; rm -rf -- "$1"'

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts that run during the demo."""

    addresses: Addresses
    checks: tuple[Callable[[], None], ...]


def run_demo(for_s: float | None, as_json: bool, dsn: str | None) -> int:
    """Run the demo for `for_s` seconds, or until Ctrl-C; return the exit code.

    The server at `dsn` replaces the embedded one. At any end of the demo, every process that it
    started is stopped and everything that it made is removed.
    """
    try:
        asyncio.run(_until_stopped(for_s, as_json, dsn))
    except DemoError as error:
        print(f"poolscope-exporter demo: {error}", file=sys.stderr)  # noqa: T201 - for the user
        return 1
    except BrokenPipeError:
        # The reader of the output is gone, for example `head`; without this, Python fails at its
        # exit when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


async def _until_stopped(for_s: float | None, as_json: bool, dsn: str | None) -> None:
    story = asyncio.ensure_future(_tell(for_s, as_json, dsn))
    loop = asyncio.get_running_loop()
    for stop_signal in STOP_SIGNALS:
        # nohup ignores SIGHUP on purpose, so it stays ignored.
        if stop_signal != signal.SIGHUP or signal.getsignal(stop_signal) != signal.SIG_IGN:
            loop.add_signal_handler(stop_signal, story.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await story


async def _tell(for_s: float | None, as_json: bool, dsn: str | None) -> None:
    with ExitStack() as stack:
        stage = await _set_up(stack, dsn)
        view = choose_view(stage.addresses, _ending(for_s), as_json=as_json)
        stack.enter_context(view)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await _play(stage, view)


async def _play(stage: Stage, view: View) -> None:
    """Run the load and show the exporter's snapshots until cancelled."""
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(watch(stage.checks))
            tasks.create_task(run_load(stage.addresses.shop))
            tasks.create_task(_show(ExporterApi(client, stage.addresses.exporter), view))
    except* (DemoError, BrokenPipeError) as group:
        raise group.exceptions[0] from None


async def _show(api: ExporterApi, view: View) -> None:
    failures = 0
    while True:
        try:
            view.show(await api.snapshot())
            failures = 0
        except DemoError:
            # If the exporter died, its process check reports it better, with the end of its log.
            failures += 1
            if failures == MOST_FAILURES:
                raise
        await asyncio.sleep(SNAPSHOT_INTERVAL_S)


async def _set_up(stack: ExitStack, dsn: str | None) -> Stage:
    """Start everything in order; `stack` stops it in the reverse order."""
    prefix = "poolscope-demo-"
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))
    stack.enter_context(Guard(WHEN_WE_DIED, str(folder), account=Account.ours()))
    database = stack.enter_context(_database(dsn))
    async with other_demos_wait():
        port, otlp_port, shop_port = free_ports([EXPORTER_PORT, OTLP_PORT, 0])
        addresses = Addresses(f"http://{HOST}:{port}", f"http://{HOST}:{shop_port}", database.name)
        exporter = stack.enter_context(_exporter(folder, database, port, otlp_port))
        await exporter.wait_until_ready(f"{addresses.exporter}/readyz")
        shop = stack.enter_context(_shop(folder, database, shop_port, otlp_port))
        await shop.wait_until_ready(f"{addresses.shop}/orders/1")
    return Stage(addresses, (exporter.raise_if_exited, shop.raise_if_exited, database.check))


def _database(dsn: str | None) -> AbstractContextManager[Database]:
    return embedded_database() if dsn is None else given_database(dsn)


def _exporter(folder: Path, database: Database, port: int, otlp_port: int) -> ChildProcess:
    arguments = ["poolscope_exporter.cli", "run", f"--poll-interval={POLL_INTERVAL_S}"]
    arguments += [f"--listen={HOST}:{port}", f"--otlp-listen={HOST}:{otlp_port}"]
    # In the environment, because every user of the machine can read the arguments of a process.
    return ChildProcess("exporter", arguments, folder, {"POOLSCOPE_DSN": database.exporter_dsn})


def _shop(folder: Path, database: Database, port: int, otlp_port: int) -> ChildProcess:
    arguments = ["uvicorn", "poolscope_exporter.demo.sample_app:app", "--log-level=warning"]
    arguments += [f"--host={HOST}", f"--port={port}", "--timeout-graceful-shutdown=1"]
    return ChildProcess(
        "sample app",
        arguments,
        folder,
        {
            "DEMO_DATABASE_URL": database.app_url,
            "OTEL_SERVICE_NAME": SERVICE,
            "POOLSCOPE_ENDPOINT": f"http://{HOST}:{otlp_port}",
            "POOLSCOPE_PUSH_INTERVAL_S": str(PUSH_INTERVAL_S),
        },
    )


def _ending(for_s: float | None) -> str:
    when = "Ctrl-C" if for_s is None else f"Ctrl-C, or the end of {for_s:g} s,"
    return f"{when} stops every process of the demo and removes everything that it made."

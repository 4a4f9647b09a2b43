"""Every process says good-bye: its last push is marked, so the exporter drops it at once."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from poolscope import catalogue
from poolscope_exporter.demo.ports import HOST
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import clean_environment
from support.exporter.pushes import Pushes
from support.exporter.receiver import Receiver, a_receiver, points
from support.frameworks.environment import python_path
from support.processes.child_processes import GIVE_UP_S, wait_until

START_S = 3 * GIVE_UP_S
"""Several interpreters start, with a framework in each."""

ENGINE = """
import os, sys, time
import poolscope
from sqlalchemy import QueuePool, create_engine

poolscope.instrument()
engine = create_engine("sqlite://", poolclass=QueuePool, pool_logging_name="shop",
    connect_args={"check_same_thread": False})
kept = []

def use(*_):
    engine.connect().close()

def leak(*_):
    kept.append(engine.connect())
"""

SCRIPT = f"""{ENGINE}
use()
time.sleep(600)
"""

POOL = f"""{ENGINE}
import multiprocessing

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:  # its end is terminate()
        pool.map(use, range(20), chunksize=1)
        use()
"""

LATE = """
import multiprocessing, os

def use():
    import poolscope
    from sqlalchemy import create_engine
    poolscope.instrument()
    create_engine("sqlite://", pool_logging_name="shop").connect().close()

if __name__ == "__main__":
    child = multiprocessing.get_context("fork").Process(target=use)
    child.start()
    child.join()
"""

DJANGO = f"""{ENGINE}
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

def view(request, order_id):
    leak() if "leak" in request.GET else use()
    return HttpResponse(str(os.getpid()))

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=(path("orders/<int:order_id>/", view),))
django.setup()
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
asgi, wsgi = ASGIHandler(), WSGIHandler()
"""

CELERY = f"""{ENGINE}
from celery import Celery, signals

app = Celery("shop", broker="memory://", backend="cache+memory://")
task = app.task(name="shop.use")(use)

@signals.worker_ready.connect
def send(**_):
    for _ in range(20):
        task.delay()
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


class Program:
    """A program in a folder that pushes to a receiver, and ends by SIGTERM."""

    def __init__(
        self, folder: Path, receiver: Receiver, source: str, command: Sequence[str]
    ) -> None:
        (folder / "shop.py").write_text(source)
        self.pushes = Pushes(receiver)
        self._log = folder / "log"
        program, *options = command
        environment = clean_environment(
            OTEL_SERVICE_NAME="shop",
            POOLSCOPE_ENDPOINT=receiver.endpoint,
            POOLSCOPE_PUSH_INTERVAL_S="0.5",
            PYTHONPATH=python_path(folder),
        )
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*started(program), *options], cwd=folder, env=environment, stdout=log, stderr=log
            )

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def users(self) -> set[int]:
        """Return the processes that used the pool."""
        return set(self.pushes.checkouts("shop"))

    def is_used(self) -> bool:
        return bool(self.users())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_S)

    def assert_nobody_is_left(self) -> None:
        assert self.users(), self.log
        assert self.users() <= self.pushes.ended(), self.log


def started(program: str) -> list[str]:
    return [sys.executable] if program == "python" else [sys.executable, "-m", program]


def test_a_script_that_sigterm_ends(tmp_path: Path, receiver: Receiver) -> None:
    with Program(tmp_path, receiver, SCRIPT, ["python", "shop.py"]) as program:
        assert wait_until(program.is_used, START_S), program.log
        assert program.stop() == -signal.SIGTERM
        program.assert_nobody_is_left()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_children_of_a_pool_that_is_terminated(
    method: str, tmp_path: Path, receiver: Receiver
) -> None:
    with Program(tmp_path, receiver, POOL, ["python", "shop.py", method]) as program:
        assert program.process.wait(START_S) == 0, program.log
        program.assert_nobody_is_left()
        assert program.process.pid in program.users()


def test_a_child_that_is_instrumented_after_the_fork(tmp_path: Path, receiver: Receiver) -> None:
    with Program(tmp_path, receiver, LATE, ["python", "shop.py"]) as program:
        assert program.process.wait(START_S) == 0, program.log
        program.assert_nobody_is_left()


SERVERS = {
    "uvicorn": ["uvicorn", "--host={host}", "--port={port}", "shop:asgi"],
    "uvicorn-reload": ["uvicorn", "--reload", "--host={host}", "--port={port}", "shop:asgi"],
    "gunicorn-threads": [
        "gunicorn",
        "--threads=2",
        "--graceful-timeout=120",
        "--bind={host}:{port}",
        "shop:wsgi",
    ],
}
"""Django has no lifespan, so nothing of it ends under uvicorn."""


def ask(url: str) -> int | None:
    try:
        return int(httpx.get(url, trust_env=False, timeout=GIVE_UP_S).text)
    except (httpx.HTTPError, ValueError):
        return None


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_of_django(name: str, tmp_path: Path, receiver: Receiver) -> None:
    port = held_port()
    command = [part.format(host=HOST, port=port) for part in SERVERS[name]]
    with Program(tmp_path, receiver, DJANGO, command) as program:
        assert wait_until(lambda: ask(f"http://{HOST}:{port}/orders/7/") is not None, START_S), (
            program.log
        )
        assert wait_until(program.is_used, START_S), program.log
        program.stop()
        program.assert_nobody_is_left()


def test_a_view_that_leaks_under_threads_of_gunicorn_is_a_leak_in_seconds(
    tmp_path: Path, receiver: Receiver
) -> None:
    port = held_port()
    command = [part.format(host=HOST, port=port) for part in SERVERS["gunicorn-threads"]]
    url = f"http://{HOST}:{port}/orders/7/"

    def leaks() -> list[tuple[str, str]]:
        ask(url)  # the threads are never idle for long
        return [
            (point[catalogue.EVIDENCE], point[catalogue.HTTP_ROUTE])
            for push in receiver.arrived[-1:]
            for point in points(push, catalogue.LEAKS.name)
            if point["value"]
        ]

    with Program(tmp_path, receiver, DJANGO, command) as program:
        assert wait_until(lambda: ask(f"{url}?leak") is not None, START_S), program.log
        assert wait_until(lambda: bool(leaks())), program.log
        assert set(leaks()) == {("request_finished", "/orders/<int:order_id>/")}
        program.stop()


def test_the_children_of_celery(tmp_path: Path, receiver: Receiver) -> None:
    command = ["celery", "--app=shop", "worker", "--concurrency=2", "--loglevel=INFO"]
    with Program(tmp_path, receiver, CELERY, command) as program:
        assert wait_until(program.is_used, START_S), program.log
        assert program.process.pid not in program.users()
        program.stop()
        program.assert_nobody_is_left()
        [counted] = {
            point[catalogue.HTTP_ROUTE]
            for push in program.pushes.last().values()
            for point in points(push, catalogue.ROUTE_CHECKOUTS.name)
        }
        assert counted == "shop.use"

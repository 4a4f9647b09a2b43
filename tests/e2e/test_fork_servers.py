"""Servers that fork and scripts with children: each process counts its own, nothing twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import clean_environment
from support.exporter.pushes import Pushes
from support.exporter.receiver import Receiver, a_receiver
from support.processes.child_processes import GIVE_UP_S, is_alive, wait_until

AT_IMPORT = 3
"""Connections that the service takes where it is imported: in the master, with --preload."""

SERVICE = f"""
import os
import poolscope
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

poolscope.instrument()
at_import = create_engine("sqlite:///import.db", pool_logging_name="import")
for _ in range({AT_IMPORT}):
    at_import.connect().close()

engine = create_async_engine(os.environ["SHOP_URL"], pool_logging_name="shop")
app = FastAPI()

@app.get("/pid")
async def pid() -> int:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    return os.getpid()
"""

GUNICORN = ["gunicorn", "--worker-class=uvicorn_worker.UvicornWorker", "--workers=2"]
SERVERS = {
    "gunicorn": [*GUNICORN, "--bind={host}:{port}"],
    "gunicorn-preload": [*GUNICORN, "--preload", "--bind={host}:{port}"],
    "uvicorn": ["uvicorn", "--workers=2", "--host={host}", "--port={port}"],
}
PRELOADED = "gunicorn-preload"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


class Server:
    """A server with several workers in a folder; counts the answers of each worker."""

    def __init__(
        self, command: list[str], folder: Path, receiver: Receiver, postgres: EmbeddedPostgres
    ) -> None:
        (folder / "service.py").write_text(SERVICE)
        port = held_port()
        self._url = f"http://{HOST}:{port}"
        program, *options = [part.format(host=HOST, port=port) for part in command]
        self._command = [str(Path(sys.executable).with_name(program)), *options, "service:app"]
        self._folder = folder
        self._log = folder / "log"
        self._environment = clean_environment(
            OTEL_SERVICE_NAME="shop",
            OTEL_RESOURCE_ATTRIBUTES="service.instance.id=pod-7",  # which all workers are given
            POOLSCOPE_ENDPOINT=receiver.endpoint,
            POOLSCOPE_PUSH_INTERVAL_S="0.2",
            SHOP_URL=postgres.sqlalchemy_url,
        )
        self.answered: Counter[int] = Counter()

    def __enter__(self) -> "Server":
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )
        assert wait_until(lambda: self._ask(1)), self.log
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        """End the server and its workers as a platform does."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()

    def serve(self, workers: int) -> None:
        """Ask until so many workers, alive now, have answered ten times each."""
        assert wait_until(lambda: self._ask(10) and self._is_served(workers)), self.log

    def _is_served(self, workers: int) -> bool:
        served = [pid for pid, times in self.answered.items() if times >= 10 and is_alive(pid)]
        return len(served) == workers

    def _ask(self, times: int) -> bool:
        """Ask on a connection of its own each time, so that the workers take turns."""
        for _ in range(times):
            try:
                # A request that is given up is served all the same, and never counted here.
                answer = httpx.get(f"{self._url}/pid", trust_env=False, timeout=GIVE_UP_S)
            except httpx.HTTPError:
                return False
            self.answered[answer.json()] += 1
        return True


@pytest.mark.parametrize("name", SERVERS)
def test_each_worker_counts_its_own_before_and_after_one_is_replaced(
    name: str, tmp_path: Path, receiver: Receiver, postgres: EmbeddedPostgres
) -> None:
    pushes = Pushes(receiver)
    with Server(SERVERS[name], tmp_path, receiver, postgres) as server:
        server.serve(2)
        assert wait_until(lambda: pushes.checkouts("shop") == server.answered), server.log
        replaced = min(server.answered)
        os.kill(replaced, signal.SIGTERM)
        assert wait_until(lambda: not is_alive(replaced))
        assert replaced in pushes.ended()
        server.serve(2)
        assert wait_until(lambda: pushes.checkouts("shop") == server.answered), server.log
        server.stop()
        assert len(server.answered) == 3
    assert pushes.checkouts("shop") == server.answered
    assert set(server.answered) <= pushes.ended()
    importers = {server.process.pid} if name == PRELOADED else set(server.answered)
    assert pushes.checkouts("import") == dict.fromkeys(importers, AT_IMPORT)
    assert_instances_are_distinct(pushes)


def assert_instances_are_distinct(pushes: Pushes) -> None:
    ids = pushes.instances()
    assert all(len(used) == 1 for used in ids.values())
    assert len(set.union(*ids.values())) == len(ids)


SCRIPT = """
import multiprocessing, os, sys
import poolscope
from sqlalchemy import create_engine

poolscope.instrument()
engine = create_engine("sqlite:///shop.db", pool_logging_name="shop")

def use(times):
    for _ in range(times):
        engine.connect().close()

if __name__ == "__main__":
    use(10)
    start = multiprocessing.get_context(sys.argv[1])
    children = [start.Process(target=use, args=(times,)) for times in (30, 40)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with start.Pool(2) as pool:
        pool.map(use, [1] * 5, chunksize=1)
        pool.close()
        pool.join()
    use(1)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("given_id", ["", "pod-7"])
def test_children_of_multiprocessing_are_counted_to_their_end(
    method: str, given_id: str, tmp_path: Path, receiver: Receiver
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    attributes = f"service.instance.id={given_id}" if given_id else ""
    variables = clean_environment(
        POOLSCOPE_ENDPOINT=receiver.endpoint,
        POOLSCOPE_PUSH_INTERVAL_S="300",
        OTEL_RESOURCE_ATTRIBUTES=attributes,
    )
    parent = subprocess.Popen([sys.executable, "script.py", method], cwd=tmp_path, env=variables)
    assert parent.wait(3 * GIVE_UP_S) == 0  # a dozen interpreters start
    pushes = Pushes(receiver)
    counted = pushes.checkouts("shop")
    assert counted.pop(parent.pid) == 11
    assert sorted(counted.values())[-2:] == [30, 40]
    assert sum(counted.values()) == 30 + 40 + 5
    assert pushes.ended() == {parent.pid, *counted}
    assert_instances_are_distinct(pushes)
    assert all(
        given_id in identifier for used in pushes.instances().values() for identifier in used
    )

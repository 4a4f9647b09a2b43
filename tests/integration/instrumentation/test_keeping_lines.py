"""Looks at random moments name the line that keeps a connection, in real libraries."""

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import pytest
import requests
from fastapi import Depends, FastAPI
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from poolscope.recording.requests import Receive, Scope, Send, run_request
from poolscope.watching.holder_looks import HolderLooks
from poolscope.watching.owner_stack import LoopThread
from support.applications.holding import HeldPool, keeping_line
from support.documents.markdown import ROOT

LOOKS = 40
ENOUGH = 0.95

Seen = Counter[tuple[str, int, str | None]]


class SlowServer(NamedTuple):
    """An HTTP server that answers when the test is over, and whether it was asked."""

    address: str
    asked: threading.Event


@pytest.fixture
def slow_server() -> Iterator[SlowServer]:
    """Run such a server."""
    end, asked = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            end.wait()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield SlowServer(f"http://127.0.0.1:{server.server_port}/", asked)
        end.set()
        server.shutdown()
        thread.join()


class Observer:
    """A pool, and looks at its holders at random moments from another thread."""

    def __init__(self) -> None:
        self.pool = HeldPool()
        self.seen: Seen = Counter()
        self.is_over = threading.Event()
        self._loops: dict[int, LoopThread] = {}
        self._looks = HolderLooks(self.pool.registry, lambda: self._loops)

    def note_loop(self) -> None:
        """Note that the running loop runs in this thread."""
        self._loops[id(asyncio.get_running_loop())] = LoopThread(threading.get_ident(), None)

    def look(self, asked: threading.Event | None = None) -> None:
        """Look until the holder was seen often enough, after a server was asked."""
        if asked is not None:
            asked.wait()
        for number in range(LOOKS * 20):
            if self.seen.total() >= LOOKS or self.is_over.wait(random.uniform(0.001, 0.01)):
                break
            for use in self._looks.look_at_owners(float(number)):
                sighting = self._looks.holder_sighting(use.checkout.id)
                if sighting is not None:
                    place = sighting.position.site.place or ("", 0, "")
                    file = place[0].rpartition("/")[2]
                    self.seen[file, place[1], sighting.position.call] += 1
        self.is_over.set()

    def share(self, line: int, call: str | None) -> float:
        """Return the share of the looks that found this line of this file, and this call."""
        assert self.seen.total() >= LOOKS, self.seen
        return self.seen[Path(__file__).name, line, call] / self.seen.total()


async def observed(
    observer: Observer,
    hold: Callable[[], Coroutine[Any, Any, object]],
    asked: threading.Event | None = None,
) -> None:
    """Hold a connection in a task while another thread looks."""
    observer.note_loop()
    task = asyncio.ensure_future(hold())
    thread = threading.Thread(target=observer.look, args=(asked,))
    thread.start()
    while not (observer.is_over.is_set() or task.done()):  # noqa: ASYNC110 - a thread sets it
        await asyncio.sleep(0.01)
    observer.is_over.set()
    thread.join()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def asks(pool: HeldPool, address: str) -> None:
    pool.take()
    async with httpx.AsyncClient(timeout=600) as client:
        await client.get(address)  # keeps


async def asks_with_a_limit(pool: HeldPool, address: str) -> None:
    pool.take()
    async with httpx.AsyncClient(timeout=600) as client:
        await asyncio.wait_for(client.get(address), 600)  # keeps


async def waits_for_a_lock(pool: HeldPool, lock: asyncio.Lock) -> None:
    pool.take()
    async with lock:  # keeps
        pass


async def runs_synchronous_code(pool: HeldPool, event: asyncio.Event) -> None:
    pool.take()
    await greenlet_spawn(works_in_a_greenlet, event)


def works_in_a_greenlet(event: asyncio.Event) -> None:
    await_only(event.wait())  # keeps


async def test_an_http_call_inside_a_transaction(slow_server: SlowServer) -> None:
    observer = Observer()
    await observed(observer, lambda: asks(observer.pool, slow_server.address), slow_server.asked)
    assert observer.share(keeping_line(asks), "httpx.AsyncClient.get") >= ENOUGH


async def test_an_http_call_with_a_time_limit(slow_server: SlowServer) -> None:
    observer = Observer()
    hold = partial(asks_with_a_limit, observer.pool, slow_server.address)
    await observed(observer, hold, slow_server.asked)
    line = keeping_line(asks_with_a_limit)
    assert observer.share(line, "asyncio.wait_for") >= ENOUGH


async def test_a_lock() -> None:
    observer, lock = Observer(), asyncio.Lock()
    await lock.acquire()
    await observed(observer, lambda: waits_for_a_lock(observer.pool, lock))
    assert observer.share(keeping_line(waits_for_a_lock), "asyncio.Lock.acquire") >= ENOUGH


async def test_synchronous_code_in_a_greenlet_of_sqlalchemy() -> None:
    observer, event = Observer(), asyncio.Event()
    await observed(observer, lambda: runs_synchronous_code(observer.pool, event))
    # The first looks may come before the greenlet waits.
    [((_, line, call), count)] = observer.seen.most_common(1)
    assert count / observer.seen.total() >= ENOUGH, observer.seen
    assert line == keeping_line(works_in_a_greenlet)
    assert str(call).startswith("sqlalchemy.")


async def test_a_route_with_a_generator_as_dependency(slow_server: SlowServer) -> None:
    observer = Observer()
    app = FastAPI()

    async def connection() -> AsyncIterator[int]:
        yield observer.pool.take()

    @app.get("/")
    async def pays(taken: Annotated[int, Depends(connection)]) -> int:
        async with httpx.AsyncClient(timeout=600) as client:
            await client.get(slow_server.address)  # keeps
        return taken

    await observed(observer, lambda: requested(app), slow_server.asked)
    assert observer.share(keeping_line(pays), "httpx.AsyncClient.get") >= ENOUGH


async def test_a_synchronous_route_that_calls_requests(slow_server: SlowServer) -> None:
    observer = Observer()
    app = FastAPI()

    @app.get("/")
    def pays() -> int:
        taken = observer.pool.take()
        requests.get(slow_server.address, timeout=600)  # keeps
        return taken

    task = asyncio.create_task(requested(app))
    thread = threading.Thread(target=observer.look, args=(slow_server.asked,))
    thread.start()
    await asyncio.to_thread(thread.join)
    # The route ends with the server of this test.
    task.cancel()
    assert observer.share(keeping_line(pays), "requests.get") >= ENOUGH


async def requested(app: FastAPI) -> None:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await run_request(app, scope, receive, send)

    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.get("/")


async def sleeps_on_the_loop(observer: Observer) -> None:
    observer.pool.take()
    while not observer.is_over.is_set():
        time.sleep(0.05)  # noqa: ASYNC251 - the mistake that the look must name  # keeps


async def computes_on_the_loop(observer: Observer) -> None:
    observer.pool.take()
    total = 0
    while not observer.is_over.is_set():
        total += sum(range(20_000))  # keeps


def test_a_sleep_that_blocks_the_loop() -> None:
    observer = Observer()
    asyncio.run(observed(observer, lambda: sleeps_on_the_loop(observer)))
    assert observer.share(keeping_line(sleeps_on_the_loop), "time.sleep") >= ENOUGH


def test_a_computation_that_blocks_the_loop() -> None:
    observer = Observer()
    asyncio.run(observed(observer, lambda: computes_on_the_loop(observer)))
    assert observer.share(keeping_line(computes_on_the_loop), None) >= ENOUGH


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent, gevent.event
from poolscope.watching.holder_looks import HolderLooks
from support.applications.holding import HeldPool

pool, end = HeldPool(), gevent.event.Event()

def inner():
    end.wait()

def holds():
    ids.append(pool.take())
    inner()

ids = []
greenlets = [gevent.spawn(holds) for _ in range(3)]
gevent.sleep(0.05)
looks = HolderLooks(pool.registry, dict)
for now_s in range(40):
    looks.look_at_owners(float(now_s))
    gevent.sleep(0.001)
found = [looks.holder_sighting(each) for each in ids]
print({(each.position.site.place[1:], each.position.call, each.looks) for each in found})
end.set()
gevent.joinall(greenlets)
"""


def test_a_greenlet_of_gevent() -> None:
    pytest.importorskip("gevent")
    line = next(n for n, text in enumerate(GREENLETS.splitlines(), 1) if "end.wait()" in text)
    sources = [str(ROOT / part) for part in ("instrumentation/src", "tests")]
    program = f"exec(compile({GREENLETS!r}, '/app/greenlets.py', 'exec'))"
    code = f"import sys; sys.path[:0] = {sources!r}\n{program}"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert f"({line}, 'inner')" in run.stdout, run.stderr
    assert run.stdout.strip().endswith(", 40)}"), "each look found each greenlet at this line"

"""Looks at random moments name the line that keeps a connection, in real libraries."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Annotated, Any

import httpx
import pytest
import requests
from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from poolscope import catalogue
from poolscope.recording.requests import Receive, Scope, Send, run_request
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import instrumented
from support.applications.holding import HeldPool, keeping_line
from support.applications.observing import ENOUGH, Observer, SlowServer, a_slow_server, share_at
from support.documents.markdown import ROOT


@pytest.fixture
def slow_server() -> Iterator[SlowServer]:
    with a_slow_server() as server:
        yield server


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
    pool = HeldPool()
    observer = Observer(pool.registry)
    await observed(observer, lambda: asks(pool, slow_server.address), slow_server.asked)
    assert share_at(observer.seen, asks, "httpx.AsyncClient.get") >= ENOUGH


async def test_an_http_call_with_a_time_limit(slow_server: SlowServer) -> None:
    pool = HeldPool()
    observer = Observer(pool.registry)
    hold = partial(asks_with_a_limit, pool, slow_server.address)
    await observed(observer, hold, slow_server.asked)
    assert share_at(observer.seen, asks_with_a_limit, "asyncio.wait_for") >= ENOUGH


async def test_a_lock() -> None:
    pool, lock = HeldPool(), asyncio.Lock()
    observer = Observer(pool.registry)
    await lock.acquire()
    await observed(observer, lambda: waits_for_a_lock(pool, lock))
    assert share_at(observer.seen, waits_for_a_lock, "asyncio.Lock.acquire") >= ENOUGH


async def test_synchronous_code_in_a_greenlet_of_sqlalchemy() -> None:
    pool, event = HeldPool(), asyncio.Event()
    observer = Observer(pool.registry)
    await observed(observer, lambda: runs_synchronous_code(pool, event))
    # The first looks may come before the greenlet waits.
    [((_, line, call), count)] = observer.seen.most_common(1)
    assert count / observer.seen.total() >= ENOUGH, observer.seen
    assert line == keeping_line(works_in_a_greenlet)
    assert str(call).startswith("sqlalchemy.")


async def test_a_route_with_a_generator_as_dependency(slow_server: SlowServer) -> None:
    pool = HeldPool()
    observer = Observer(pool.registry)
    app = FastAPI()

    async def connection() -> AsyncIterator[int]:
        yield pool.take()

    @app.get("/")
    async def pays(taken: Annotated[int, Depends(connection)]) -> int:
        async with httpx.AsyncClient(timeout=600) as client:
            await client.get(slow_server.address)  # keeps
        return taken

    await observed(observer, lambda: requested(app), slow_server.asked)
    assert share_at(observer.seen, pays, "httpx.AsyncClient.get") >= ENOUGH


async def test_a_generator_that_waits_before_it_ends(slow_server: SlowServer) -> None:
    pool = HeldPool()
    observer = Observer(pool.registry)
    app = FastAPI()

    async def connection() -> AsyncIterator[int]:
        yield pool.take()
        async with httpx.AsyncClient(timeout=600) as client:
            await client.get(slow_server.address)  # keeps

    @app.get("/")
    async def shows(taken: Annotated[int, Depends(connection)]) -> int:
        return taken

    await observed(observer, lambda: requested(app), slow_server.asked)
    assert share_at(observer.seen, connection, "httpx.AsyncClient.get") >= ENOUGH


async def test_a_route_that_calls_another_service_in_a_transaction(
    slow_server: SlowServer, postgres: EmbeddedPostgres
) -> None:
    app = FastAPI()
    with instrumented() as readings:
        observer = Observer(readings.instrumentation.registry)
        app.state.engine = create_async_engine(postgres.dsn.replace("://", "+asyncpg://", 1))

        @app.get("/")
        async def pays() -> None:
            async with AsyncSession(app.state.engine) as session, session.begin():
                await session.execute(text("SELECT 1"))
                async with httpx.AsyncClient(timeout=600) as client:
                    await client.get(slow_server.address)  # keeps

        await observed(observer, lambda: requested(app), slow_server.asked)
        await app.state.engine.dispose()
        del app.state.engine  # FastAPI keeps the route for ever, and other tests would find it
        assert readings.value(catalogue.HOOK_ERRORS) == 0
    assert share_at(observer.seen, pays, "httpx.AsyncClient.get") >= ENOUGH


def test_a_thread_that_calls_requests(slow_server: SlowServer) -> None:
    pool = HeldPool()
    observer = Observer(pool.registry)

    def pays() -> None:
        pool.take()
        requests.get(slow_server.address, timeout=600)  # keeps

    threading.Thread(target=pays, daemon=True).start()
    observer.look(slow_server.asked)
    assert share_at(observer.seen, pays, "requests.get") >= ENOUGH


async def test_a_synchronous_route_that_calls_requests(slow_server: SlowServer) -> None:
    pool = HeldPool()
    observer = Observer(pool.registry)
    app = FastAPI()

    @app.get("/")
    def pays() -> int:
        taken = pool.take()
        requests.get(slow_server.address, timeout=600)  # keeps
        return taken

    task = asyncio.create_task(requested(app))
    thread = threading.Thread(target=observer.look, args=(slow_server.asked,))
    thread.start()
    await asyncio.to_thread(thread.join)
    # The route ends with the server of this test.
    task.cancel()
    assert share_at(observer.seen, pays, "requests.get") >= ENOUGH


async def requested(app: FastAPI) -> None:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await run_request(app, scope, receive, send)

    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.get("/")


async def sleeps_on_the_loop(pool: HeldPool, is_over: threading.Event) -> None:
    pool.take()
    while not is_over.is_set():
        time.sleep(0.05)  # noqa: ASYNC251 - the mistake that the look must name  # keeps


async def computes_on_the_loop(pool: HeldPool, is_over: threading.Event) -> None:
    pool.take()
    total = 0
    while not is_over.is_set():
        total += sum(range(20_000))  # keeps


def test_a_sleep_that_blocks_the_loop() -> None:
    pool = HeldPool()
    observer = Observer(pool.registry)
    asyncio.run(observed(observer, lambda: sleeps_on_the_loop(pool, observer.is_over)))
    assert share_at(observer.seen, sleeps_on_the_loop, "time.sleep") >= ENOUGH


def test_a_computation_that_blocks_the_loop() -> None:
    pool = HeldPool()
    observer = Observer(pool.registry)
    asyncio.run(observed(observer, lambda: computes_on_the_loop(pool, observer.is_over)))
    assert share_at(observer.seen, computes_on_the_loop, None) >= ENOUGH


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

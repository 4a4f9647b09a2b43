"""Who waits for a thread of anyio's is known by the request that holds a connection."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from weakref import ref

import anyio.to_thread
import pytest

from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import running_task
from poolscope.watching.worker_threads import WorkerThreads, in_all, read_worker_threads


def a_request() -> Request:
    request, task = Request(), running_task()
    assert task is not None
    request.task = ref(task)
    CURRENT.set(request)
    return request


async def from_a_callback() -> WorkerThreads | None:
    """Read as the loop's callback does: outside of any task."""
    found: asyncio.Future[WorkerThreads | None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: found.set_result(read_worker_threads()))
    return await found


def served(waiting: int, check: Callable[[WorkerThreads | None, list[Request]], None]) -> None:
    """Fill both threads of a limiter, let so many requests wait for one, and check."""

    async def run() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        stop, requests = threading.Event(), []

        async def serve() -> None:
            requests.append(a_request())
            await anyio.to_thread.run_sync(stop.wait, 30)

        async with anyio.create_task_group() as group:
            for _ in range(2 + waiting):
                group.start_soon(serve)
            await anyio.wait_all_tasks_blocked()
            try:
                check(await from_a_callback(), requests)
            finally:
                stop.set()

    asyncio.run(run())


@pytest.mark.parametrize("waiting", [0, 1, 3])
def test_requests_that_wait_for_a_thread_are_told_from_those_that_have_one(waiting: int) -> None:
    def check(threads: WorkerThreads | None, requests: list[Request]) -> None:
        assert threads is not None
        assert (threads.used, threads.limit, threads.waiting) == (2, 2, waiting)
        assert sum(map(threads.is_awaited_by, requests)) == waiting

    served(waiting, check)


def test_a_request_that_has_ended_waits_for_nothing() -> None:
    def check(threads: WorkerThreads | None, requests: list[Request]) -> None:
        assert threads is not None
        for request in requests:
            request.finished_at_s = 1.0
        assert not any(map(threads.is_awaited_by, requests))
        assert not threads.is_awaited_by(None)

    served(2, check)


def test_without_anyio_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "anyio.to_thread")

    async def read() -> None:
        assert await from_a_callback() is None

    asyncio.run(read())


def test_an_anyio_that_has_changed_costs_its_own_signal_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "anyio.to_thread", ModuleType("anyio.to_thread"))

    async def read() -> None:
        assert await from_a_callback() is None

    asyncio.run(read())


def test_the_threads_of_several_loops_add_up() -> None:
    some, others = WorkerThreads(1, 40, 0), WorkerThreads(40, 40, 3)
    assert in_all([some, None, others]) == WorkerThreads(41, 80, 3)
    assert in_all([some, WorkerThreads(2, None, 0)]) == WorkerThreads(3, None, 0)
    assert in_all([None]) is None


def test_a_request_whose_task_is_gone_waits_for_nothing() -> None:
    async def end() -> Request:
        return a_request()

    request = asyncio.run(end())
    gc.collect()
    assert request.task is not None
    assert request.task() is None
    assert not WorkerThreads(1, 40, 0).is_awaited_by(request)

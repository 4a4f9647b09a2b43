"""Situations of asynchronous pools alone: cancellation, and tasks that come and go."""

import asyncio

import pytest

from conformance.case import Case
from conformance.requests import serve
from poolscope import catalogue

SLOW = "select pg_sleep(30)"


async def cancelled_waiting(case: Case) -> None:
    handles = await case.fill()
    waiter = asyncio.create_task(case.take())
    await case.until(lambda: case.readings.value(catalogue.PENDING_REQUESTS) == 1)
    await cancel(waiter)
    await case.check(out=case.limit)
    await case.give_back(*handles)
    await case.check(out=0)


async def cancelled_connecting(case: Case) -> None:
    case.server.hold()
    asking = asyncio.create_task(case.take())
    await case.until(lambda: case.server.held == 1)
    await cancel(asking)
    case.server.release()
    await case.check(out=0)
    await case.warm_up()
    await case.check(out=0)


async def cancelled_in_use(case: Case) -> None:
    working = asyncio.create_task(work(case))
    await case.until(lambda: case.out == 1)
    for _ in range(10):
        await case.pause()
    await cancel(working)
    await case.check(out=0)
    await case.warm_up()
    await case.check(out=0)


async def asyncio_timeout(case: Case) -> None:
    await case.warm_up()
    limit = asyncio.timeout(None)
    ending = asyncio.create_task(end_in_use(case, limit))
    with pytest.raises(TimeoutError):
        async with limit:
            await work(case)
    await ending
    await case.check(out=0)


async def asyncio_timeout_waiting(case: Case) -> None:
    handles = await case.fill()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await case.take()
    await case.check(out=case.limit)
    await case.give_back(*handles)
    await case.check(out=0)


async def shielded_close(case: Case) -> None:
    async def handler() -> None:
        handle = await case.take()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(asyncio.create_task(case.give_back(handle)))

    request = asyncio.create_task(serve(handler))
    await case.until(lambda: case.out == 1)
    await cancel(request)
    case.expect_no_leak()
    await case.check(out=0)


async def task_gone(case: Case) -> None:
    handle = await asyncio.create_task(case.take())
    assert not case.look_for_leaks()
    assert not case.look_for_leaks(after_s=29)
    [_] = case.look_for_leaks(after_s=31)
    await case.check(out=1)
    await case.give_back(handle)
    assert not case.look_for_leaks(after_s=32)
    await case.check(out=0)


async def wait_for(case: Case) -> None:
    async def handler() -> None:
        handle = await asyncio.wait_for(case.take(), 60)
        case.expect_no_leak()
        await case.give_back(handle)

    await serve(handler)
    await case.check(out=0)


async def gather(case: Case) -> None:
    async def handler() -> None:
        handles = await asyncio.gather(case.take(), case.take())
        case.expect_no_leak()
        await case.give_back(*handles)

    await serve(handler)
    await case.check(out=0)


async def end_in_use(case: Case, limit: asyncio.Timeout) -> None:
    """Let the time run out once the query runs: a fixed time may be over before that."""
    await case.until(lambda: case.out == 1)
    for _ in range(10):
        await case.pause()
    limit.reschedule(asyncio.get_running_loop().time())


async def work(case: Case) -> None:
    async with case.pool.block() as handle:
        case.taken += 1
        await case.use(handle, SLOW)


async def cancel(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

"""Situations of requests: work that ends with them, and work that does not."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import SimpleNamespace
from typing import Any

from conformance.case import Case
from conformance.threads import finish, in_new_thread
from poolscope import catalogue
from poolscope.middleware import PoolscopeMiddleware

ROUTE = "/orders/{order_id}"


async def serve(handler: Callable[[], Awaitable[None]]) -> None:
    """Run a request as an ASGI server does: in a task of its own."""

    async def app(scope: MutableMapping[str, Any], *_: Any) -> None:
        scope["route"] = SimpleNamespace(path=ROUTE)
        await handler()

    async def nothing(*_: Any) -> Any:
        return {}

    await asyncio.create_task(PoolscopeMiddleware(app)({"type": "http"}, nothing, nothing))


async def take(case: Case) -> Any:
    """Take a connection as a handler does: a synchronous one runs in a worker thread."""
    if case.column.is_async:
        return await case.take()
    return await asyncio.to_thread(lambda: finish(case.take()))


async def request_gone(case: Case) -> None:
    kept: list[Any] = []

    async def handler() -> None:
        kept.append(await take(case))

    await serve(handler)
    assert not case.look_for_leaks(after_s=1)
    [leak] = case.look_for_leaks(after_s=2.1)
    assert leak.route == ROUTE
    await case.check(out=1)
    await case.give_back(kept.pop())
    assert not case.look_for_leaks(after_s=3)
    await case.check(out=0)
    assert case.readings.value(catalogue.ROUTE_CHECKOUTS, route=ROUTE) == 1


async def pruned_thread(case: Case) -> None:
    async def handler() -> None:
        handle = in_new_thread(lambda: finish(case.take()))
        case.expect_no_leak()
        in_new_thread(lambda: finish(case.give_back(handle)))

    await serve(handler)
    await case.check(out=0)


async def fire_and_forget(case: Case) -> None:
    go_on, forgotten = asyncio.Event(), []

    async def work() -> None:
        handle = await case.take()
        await go_on.wait()
        await case.give_back(handle)

    async def handler() -> None:
        forgotten.append(asyncio.create_task(work()))
        await case.until(lambda: case.out == 1)

    await serve(handler)
    case.expect_no_leak()
    go_on.set()
    await asyncio.gather(*forgotten)
    case.expect_no_leak()
    await case.check(out=0)


async def fire_and_forget_thread(case: Case) -> None:
    go_on, forgotten = threading.Event(), []

    def work() -> None:
        handle = finish(case.take())
        go_on.wait(60)
        finish(case.give_back(handle))

    async def handler() -> None:
        forgotten.append(asyncio.create_task(asyncio.to_thread(work)))
        while case.out == 0:  # noqa: ASYNC110 - a gauge has no event
            await asyncio.sleep(0.005)

    await serve(handler)
    case.expect_no_leak()
    go_on.set()
    await asyncio.gather(*forgotten)
    case.expect_no_leak()
    await case.check(out=0)

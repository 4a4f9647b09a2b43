"""Situations of SQLAlchemy sessions: one for each request, handed over, and shared."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from conformance.case import Case
from conformance.column import SessionInUse, SessionMaker
from conformance.requests import serve
from conformance.threads import finish

SLOW = "select pg_sleep(0.2)"
REQUESTS = 50

Work = Callable[[], Coroutine[Any, Any, None]]


def session_of(case: Case, *, by_thread: bool = False) -> SessionInUse:
    pool: Any = case.pool
    maker: SessionMaker = pool
    return maker.session(by_thread=by_thread)


async def run(case: Case, work: Work) -> None:
    """Run a handler's work where it belongs: what is synchronous, in a worker thread."""
    if case.column.is_async:
        await work()
    else:
        await asyncio.to_thread(lambda: finish(work()))


async def session_at_once(case: Case) -> None:
    session = session_of(case)
    await session.use("select 1")
    case.taken += 1
    if case.column.is_async:
        await asyncio.gather(session.use(SLOW), session.use("select 1"))
    else:
        first = threading.Thread(target=lambda: finish(session.use(SLOW)))
        first.start()
        await case.until(session.is_busy)
        await session.use("select 1")
        first.join()
    await session.close()
    await case.check(out=0)


async def session_commits(case: Case) -> None:
    session = session_of(case)
    await session.use("select 1")
    case.taken += 1
    await asyncio.gather(session.commit(), session.commit(), return_exceptions=True)
    await session.close()
    await case.check(out=0)


async def session_of_many(case: Case) -> None:
    session = session_of(case)
    for _ in range(REQUESTS):
        await serve(lambda: run(case, lambda: session.use("select 1")))
    case.taken += 1
    await session.close()
    await case.check(out=0)


async def session_by_thread(case: Case) -> None:
    """Use the session of the thread in two requests on one event loop, which take turns."""
    session, turns = session_of(case, by_thread=True), asyncio.Barrier(2)
    one_at_a_time = asyncio.Lock()

    async def handler() -> None:
        for _ in range(2):
            async with one_at_a_time:
                await session.use("select 1")
            await turns.wait()

    await asyncio.gather(serve(handler), serve(handler))
    case.taken += 1
    await session.close()
    await case.check(out=0)


async def session_handed_over(case: Case) -> None:
    """Go on with the session of a request that has ended, in one task or thread, and close it."""
    session, go_on = session_of(case), asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def export() -> None:
        await go_on.wait()
        for _ in range(3):
            await run(case, lambda: session.use("select 1"))
        await run(case, session.close)

    async def handler() -> None:
        await run(case, lambda: session.use("select 1"))
        tasks.append(asyncio.create_task(export()))

    await serve(handler)
    case.taken += 1
    go_on.set()
    await asyncio.gather(*tasks)
    await case.check(out=0)


async def session_gathered(case: Case) -> None:
    async def handler() -> None:
        session = session_of(case)
        await session.use("select 1")
        await asyncio.gather(session.use(SLOW), session.use(SLOW))
        await session.close()

    await serve(handler)
    case.taken += 1
    await case.check(out=0)

"""Functions that hold a connection in many ways; a comment marks the line that keeps it."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from poolscope.recording.checkout import make_record_checkout
from poolscope.recording.pool import (
    PoolConfiguration,
    PoolIdentity,
    PoolReader,
    PoolState,
    PoolStats,
    Slot,
)
from poolscope.recording.registry import Registry

Hold = Callable[[], Awaitable[object]]
Wrap = Callable[[Hold], Hold]

KEEPS = "# keeps"


class NoReader:
    """A pool of unknown size."""

    def state(self, slots: object) -> PoolState | None:
        """Return None."""
        return None

    def configuration(self) -> PoolConfiguration | None:
        """Return None."""
        return None

    def open_connection(self, slots: object) -> None:
        """Return None."""

    def is_closed(self) -> bool:
        """Return False: nobody closes it."""
        return False


class HeldPool:
    """A pool without a database: `take` notes a checkout by whoever calls it."""

    def __init__(self, reader: PoolReader | None = None) -> None:
        self.registry = Registry()
        self.stats = PoolStats(PoolIdentity("shop"), reader or NoReader())
        self.registry.watch(self, self.stats)
        self._take = make_record_checkout()

    def take(self) -> int:
        """Take a connection; return the id of the checkout."""
        slot = self.stats.slots[object()] = Slot(self.stats)
        self._take(self.stats, slot, 0.0, 0.0, inspect.currentframe(), object)
        assert slot.out is not None
        return slot.out[0]

    def give_back(self) -> None:
        """Return every connection."""
        self.stats.slots.clear()


def keeping_line(function: Callable[..., Any]) -> int:
    """Return the number of the marked line of a function."""
    lines, first = inspect.getsourcelines(function)
    [found] = [number for number, line in enumerate(lines, first) if KEEPS in line]
    return found


def through_a_coroutine(inner: Hold) -> Hold:
    async def outer() -> None:
        await inner()  # keeps

    return outer


def through_an_async_generator(inner: Hold) -> Hold:
    async def items() -> AsyncIterator[int]:
        await inner()  # keeps
        yield 1

    async def outer() -> None:
        async for _ in items():
            pass

    return outer


def through_a_waiting_next(inner: Hold) -> Hold:
    async def items() -> AsyncIterator[int]:
        await inner()  # keeps
        yield 1

    async def outer() -> None:
        await anext(items(), None)

    return outer


def through_an_async_context(inner: Hold) -> Hold:
    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        await inner()  # keeps
        yield

    async def outer() -> None:
        async with context():
            pass

    return outer


def through_the_end_of_a_context(inner: Hold) -> Hold:
    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        yield
        await inner()  # keeps

    async def outer() -> None:
        async with context():
            pass

    return outer


def through_a_generator_of_a_dependency(inner: Hold) -> Hold:
    async def dependency() -> AsyncIterator[int]:
        yield 1

    async def outer() -> None:
        generator = dependency()
        await anext(generator)
        await inner()  # keeps

    return outer


def through_a_task(inner: Hold) -> Hold:
    async def outer() -> None:
        await asyncio.ensure_future(inner())  # keeps

    return outer


def through_a_gather_of_one(inner: Hold) -> Hold:
    async def outer() -> None:
        await asyncio.gather(inner())  # keeps

    return outer


def through_a_gather_with_a_short_task(inner: Hold) -> Hold:
    async def outer() -> None:
        await asyncio.gather(inner(), asyncio.sleep(0))  # keeps

    return outer


def behind_a_gather(inner: Hold) -> Hold:
    async def outer() -> None:
        await asyncio.gather(inner(), inner())  # keeps

    return outer


def behind_a_group(inner: Hold) -> Hold:
    async def outer() -> None:
        async with asyncio.TaskGroup() as group:  # keeps
            group.create_task(_run(inner))
            group.create_task(_run(inner))

    return outer


def behind_a_shield(inner: Hold) -> Hold:
    async def outer() -> None:
        await asyncio.shield(asyncio.ensure_future(inner()))  # keeps

    return outer


def behind_a_time_limit(inner: Hold) -> Hold:
    async def outer() -> None:
        await asyncio.wait_for(inner(), 600)  # keeps

    return outer


async def _run(inner: Hold) -> None:
    await inner()


CLEAR: tuple[Wrap, ...] = (
    through_a_coroutine,
    through_an_async_generator,
    through_a_waiting_next,
    through_an_async_context,
    through_the_end_of_a_context,
    through_a_generator_of_a_dependency,
    through_a_task,
    through_a_gather_of_one,
    through_a_gather_with_a_short_task,
)
"""Shapes that show what is inside them."""

OPAQUE: dict[Wrap, str] = {
    behind_a_gather: "asyncio.gather",
    behind_a_group: "asyncio.TaskGroup.__aexit__",
    behind_a_shield: "asyncio.Future",
}
"""Shapes with an inside that no single line represents, and the call that they wait in."""


def leaves(
    event: asyncio.Event, lock: asyncio.Lock, queue: "asyncio.Queue[int]"
) -> dict[Hold, str]:
    """Return functions that wait until the event is set, with the call that each waits in."""

    async def event_is_set() -> None:
        await event.wait()  # keeps

    async def sleeps() -> None:
        await asyncio.sleep(600)  # keeps

    async def gets_the_lock() -> None:
        async with lock:  # keeps
            pass

    async def gets_an_item() -> None:
        await queue.get()  # keeps

    return {
        event_is_set: "asyncio.Event.wait",
        sleeps: "asyncio.sleep",
        gets_the_lock: "asyncio.Lock.acquire",
        gets_an_item: "asyncio.Queue.get",
    }

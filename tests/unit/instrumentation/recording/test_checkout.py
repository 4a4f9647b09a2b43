"""Who took a connection: noted when it is asked for, whoever waits for it."""

import asyncio
import sys
import threading
from typing import Any
from weakref import ref

from poolscope.recording.checkout import Asked, make_ask, make_take
from poolscope.recording.pool import PoolIdentity, PoolStats, Slot


async def test_a_checkout_is_credited_to_the_task_that_asked() -> None:
    who = make_ask()(sys._getframe())

    async def another() -> Slot:
        return a_taken_slot(who)

    slot = await asyncio.create_task(another())
    assert slot.out is not None
    assert slot.out[4] == ref(asyncio.current_task())
    assert slot.out[2].place is not None
    assert slot.out[2].place[2] == "test_a_checkout_is_credited_to_the_task_that_asked"


def test_outside_of_a_loop_the_thread_asks() -> None:
    assert make_ask()(sys._getframe())[1] == threading.get_ident()


def test_the_same_line_is_the_same_place_however_often_it_asks() -> None:
    ask = make_ask()
    first, second = (ask(sys._getframe())[0] for _ in range(2))
    assert first is second


async def test_outside_of_a_task_the_thread_asks() -> None:
    asked = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: asked.set_result(make_ask()(sys._getframe())))
    assert (await asked)[1] == threading.get_ident()


def a_taken_slot(who: Asked) -> Slot:
    """Return a slot that was taken right now, for `who`."""
    reader: Any = None
    slot = Slot(PoolStats(PoolIdentity("shop"), reader, is_async=True))
    make_take()(slot.stats, slot, 0.0, 0.0, None, object, None, who)
    return slot

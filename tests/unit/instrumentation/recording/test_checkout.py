"""Who took a connection: noted when it is asked for, whoever waits for it."""

import asyncio
import sys
from typing import Any
from weakref import ref

from poolscope.recording.checkout import Caller, make_find_caller, make_record_checkout
from poolscope.recording.pool import PoolIdentity, PoolStats, Slot, next_checkout_id
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import this_thread
from poolscope.recording.tracing import current_context


async def test_a_checkout_is_credited_to_the_task_that_asked() -> None:
    who = make_find_caller()(sys._getframe())

    async def another() -> Slot:
        return a_taken_slot(who)

    slot = await asyncio.create_task(another())
    [checkout] = slot.stats.open_checkouts()
    assert checkout.owner == ref(asyncio.current_task())
    assert checkout.site.place is not None
    assert checkout.site.place[2] == "test_a_checkout_is_credited_to_the_task_that_asked"


def test_outside_of_a_loop_the_thread_asks() -> None:
    assert make_find_caller()(sys._getframe())[1] is this_thread.owner


def test_the_same_line_is_the_same_place_however_often_it_asks() -> None:
    ask = make_find_caller()
    first, second = (ask(sys._getframe())[0] for _ in range(2))
    assert first is second


async def test_outside_of_a_task_the_thread_asks() -> None:
    asked = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(
        lambda: asked.set_result(make_find_caller()(sys._getframe()))
    )
    assert (await asked)[1] is this_thread.owner


def test_the_parts_of_a_checkout_have_the_names_that_readers_use() -> None:
    """Hooks make a plain tuple, by position; a part in the wrong place would have a wrong name."""
    request, slot = Request(), a_slot()
    token = CURRENT.set(request)
    make_record_checkout()(slot.stats, slot, 1.0, 2.5, sys._getframe(), object)
    CURRENT.reset(token)
    [checkout] = slot.stats.open_checkouts()
    assert checkout.id < next_checkout_id()
    assert (checkout.taken_at_s, checkout.request) == (2.5, request)
    assert checkout.site.place is not None
    assert (checkout.owner, checkout.alive) == (this_thread.owner, object)
    assert checkout.context == current_context()


def a_slot() -> Slot:
    """Return the slot of a pool's only connection."""
    reader: Any = None
    stats = PoolStats(PoolIdentity("shop"), reader, is_async=True)
    slot = stats.slots["its connection"] = Slot(stats)
    return slot


def a_taken_slot(who: Caller) -> Slot:
    """Return a slot that was taken right now, for `who`."""
    slot = a_slot()
    make_record_checkout()(slot.stats, slot, 0.0, 0.0, None, object, None, who)
    return slot

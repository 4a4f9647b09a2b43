"""Situations of synchronous pools alone: threads that come and go, and running loops."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from conformance.case import Case
from poolscope import catalogue

T = TypeVar("T")


def finish(coroutine: Any) -> Any:
    """Run the coroutine of a synchronous pool: it awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a synchronous pool awaited something")


def in_new_thread(work: Callable[[], T]) -> T:
    """Run in a thread that is gone afterwards, in our context, as worker threads do."""
    results: list[T] = []
    run = copy_context().run
    thread = threading.Thread(target=lambda: results.append(run(work)))
    thread.start()
    thread.join(60)
    [result] = results
    return result


async def thread_gone(case: Case) -> None:
    handle = in_new_thread(lambda: finish(case.take()))
    assert not case.look_for_leaks()
    assert not case.look_for_leaks(after_s=29)
    [_] = case.look_for_leaks(after_s=31)
    await case.check(out=1)
    await case.give_back(handle)
    assert not case.look_for_leaks(after_s=32)
    await case.check(out=0)


async def blocking(case: Case) -> None:
    await case.warm_up()
    await asyncio.to_thread(lambda: finish(case.warm_up()))
    await case.check(out=0)
    assert case.readings.value(catalogue.BLOCKING_CHECKOUTS) == 1

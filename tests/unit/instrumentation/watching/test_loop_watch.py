"""An event loop that stands still is noticed, with its line; one that merely waits never is."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from poolscope.clock import monotonic
from poolscope.recording.callsite import Place
from poolscope.watching.known_loops import KnownLoop
from poolscope.watching.loop_watch import STALLED_S, LoopWatch, Stall

HERE: Place = ("shop/reports.py", 88, "render")
ELSEWHERE: Place = ("shop/json.py", 5, "dump")

Check = Callable[[LoopWatch], Awaitable[None]]


def in_a_loop(check: Check, *, tasks: int = 2) -> None:
    """Run a check in a loop that has so many tasks, with the watch of that loop."""

    async def run() -> None:
        others = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(tasks - 1)]
        known = KnownLoop(asyncio.get_running_loop(), threading.get_ident())
        await check(LoopWatch(known, lambda: None))
        for task in others:
            task.cancel()

    asyncio.run(run())


def nowhere(_: LoopWatch) -> None:
    return None


def test_a_loop_that_runs_its_callback_is_not_late() -> None:
    async def check(watch: LoopWatch) -> None:
        watch.schedule_turn(monotonic())
        await asyncio.sleep(0)
        assert watch.look(monotonic(), nowhere) is None
        assert watch.lag_s < STALLED_S
        assert watch.stall is None

    in_a_loop(check)


@pytest.mark.parametrize(("late_s", "is_stalled"), [(0.49, False), (0.51, True), (3.0, True)])
def test_a_loop_that_has_not_run_for_half_a_second_stands_still(
    late_s: float, is_stalled: bool
) -> None:
    async def check(watch: LoopWatch) -> None:
        watch.schedule_turn(100.0)
        assert watch.look(100.0 + late_s, lambda _: HERE) is None
        assert watch.lag_s == pytest.approx(late_s)
        assert (watch.stall is not None) is is_stalled
        if watch.stall:
            assert watch.stall.place == HERE
            assert watch.stall.ident == threading.get_ident()

    in_a_loop(check)


def test_a_stall_is_returned_once_when_it_is_over() -> None:
    async def check(watch: LoopWatch) -> None:
        asked_s = monotonic() - 2.0
        watch.schedule_turn(asked_s)
        for place in (HERE, ELSEWHERE, HERE, None):
            watch.look(monotonic(), lambda _, place=place: place)  # type: ignore[misc]
        await asyncio.sleep(0)
        ended = watch.look(monotonic(), nowhere)
        assert isinstance(ended, Stall)
        assert ended.place == HERE  # where it was seen most often
        assert ended.lasted_s >= 2.0
        assert watch.stall is None
        assert watch.look(monotonic(), nowhere) is None

    in_a_loop(check)


def test_a_loop_with_a_single_task_delays_nobody() -> None:
    async def check(watch: LoopWatch) -> None:
        watch.schedule_turn(100.0)
        watch.look(110.0, lambda _: HERE)
        assert watch.stall is None

    in_a_loop(check, tasks=1)


def test_time_in_which_the_process_was_suspended_does_not_count() -> None:
    async def check(watch: LoopWatch) -> None:
        watch.schedule_turn(100.0)
        watch.excuse(9.9)
        watch.look(110.0, lambda _: HERE)
        assert watch.lag_s == pytest.approx(0.1)
        assert watch.stall is None

    in_a_loop(check)


def test_a_loop_is_not_given_a_second_callback_before_it_ran_the_first() -> None:
    async def check(watch: LoopWatch) -> None:
        watch.schedule_turn(100.0)
        watch.schedule_turn(101.0)
        watch.look(101.0, nowhere)
        assert watch.lag_s == pytest.approx(1.0)

    in_a_loop(check)


def a_stopped_loop() -> tuple[asyncio.AbstractEventLoop, LoopWatch]:
    loop = asyncio.new_event_loop()
    return loop, LoopWatch(KnownLoop(loop, threading.get_ident()), lambda: None)


def test_a_loop_that_was_stopped_is_neither_late_nor_asked() -> None:
    loop, watch = a_stopped_loop()
    watch.schedule_turn(100.0)
    assert watch.look(200.0, lambda _: HERE) is None
    assert watch.stall is None
    loop.close()
    watch.schedule_turn(201.0)
    assert watch.look(300.0, lambda _: HERE) is None


def test_what_a_stopped_loop_has_left_counts_for_nothing_when_it_goes_on() -> None:
    loop, watch = a_stopped_loop()

    async def ask() -> None:
        watch.schedule_turn(monotonic())

    loop.run_until_complete(ask())
    watch.look(monotonic() + 60, lambda _: HERE)  # it does not run any more

    async def ask_again() -> None:
        watch.schedule_turn(monotonic() - 5)
        await asyncio.sleep(0)

    loop.run_until_complete(ask_again())
    assert watch.lag_s == 0.0
    loop.close()


def test_nothing_that_a_callback_finds_reaches_the_loop() -> None:
    seen: list[dict[str, Any]] = []

    async def check(watch: LoopWatch) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        watch.schedule_turn(monotonic())
        await asyncio.sleep(0)
        assert watch.threads is None

    in_a_loop(check)
    assert seen == []

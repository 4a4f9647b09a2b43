"""What all event loops of a process did since the last push, and where their threads are."""

import asyncio
import gc
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from poolscope.watching.known_loops import MAX_LOOPS, KnownLoops
from poolscope.watching.loop_watch import Stall
from poolscope.watching.loops import (
    ASK_S,
    LATE_S,
    EventLoops,
    LoopState,
    _busy,
    _is_polling,
    place_of_thread,
)
from support.processes.child_processes import wait_until


class Cpu:
    """The processor time of a process, as a test sets it."""

    def __init__(self) -> None:
        self.used_s = 0.0

    def __call__(self) -> float:
        return self.used_s


def in_a_loop(
    check: Callable[[EventLoops, Cpu], Coroutine[Any, Any, None]], *, others: int = 1
) -> None:
    async def run() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(others)]
        known, cpu = KnownLoops(), Cpu()
        known.note_running_loop()
        await check(EventLoops(known, cpu), cpu)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def test_without_a_loop_nothing_is_known() -> None:
    loops = EventLoops(KnownLoops(), Cpu())
    loops.ask_loops(0.0, is_pressed=True)
    loops.look_at_loops(1.0, 0.0)
    assert not loops.are_known
    assert loops.take_state() == LoopState()
    assert loops.worker_threads is None


def test_a_state_has_everything_since_the_last_one_and_nothing_twice() -> None:
    async def check(loops: EventLoops, _: Cpu) -> None:
        loops.ask_loops(100.0, is_pressed=True)
        loops.look_at_loops(102.0, 0.0)
        state = loops.take_state()
        assert state.lag_s == pytest.approx(2.0)
        assert state.current is not None
        assert state.ended is None
        await asyncio.sleep(0)  # it runs, late by its own clock: "now" is far beyond 102
        loops.look_at_loops(103.0, 0.0)
        state = loops.take_state()
        assert state.current is None
        assert state.ended is not None
        assert state.blocked_s == state.ended.lasted_s == loops.blocked_s
        assert loops.take_state().ended is None

    in_a_loop(check)


def test_a_suspended_process_accuses_no_loop_and_code_that_holds_the_gil_does() -> None:
    for used_s, is_stalled in ((0.1, False), (9.0, True)):

        async def check(loops: EventLoops, cpu: Cpu, used=used_s, stalled=is_stalled) -> None:  # type: ignore[no-untyped-def]
            loops.ask_loops(100.0, is_pressed=True)
            cpu.used_s = used
            loops.look_at_loops(111.0, late_s=10.75)
            assert (loops.current_stall is not None) is stalled

        in_a_loop(check)


@contextmanager
def a_loop_that_waits_for_events(*, is_target: bool) -> Iterator[KnownLoops]:
    """Run a loop, which does nothing, as the target of a thread, or in a function of ours."""
    known, ready = KnownLoops(), threading.Event()
    loop = asyncio.new_event_loop()

    def begin() -> None:
        known.note_running_loop()
        ready.set()

    loop.call_soon(begin)

    def run() -> None:
        loop.run_forever()

    thread = threading.Thread(target=loop.run_forever if is_target else run)
    thread.start()
    try:
        assert ready.wait(30)
        yield known
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def _asks(loops: EventLoops, now_s: float, *, is_pressed: bool) -> bool:
    """Return whether the loop is asked, once it has answered the question before."""
    assert wait_until(lambda: loops._watches[0]._ran_at_s is not None)
    loops.look_at_loops(now_s, 0.0)
    loops.ask_loops(now_s, is_pressed=is_pressed)
    return loops._watches[0].asked_at_s == now_s


@pytest.mark.parametrize("is_target", [True, False])
def test_a_loop_that_waits_for_events_is_asked_rarely_unless_callers_wait(
    is_target: bool,
) -> None:
    with a_loop_that_waits_for_events(is_target=is_target) as known:
        loops = EventLoops(known, Cpu())
        loops.ask_loops(0.0, is_pressed=False)
        assert loops._watches[0].asked_at_s == 0.0  # the first time
        assert _asks(loops, 1.0, is_pressed=True)
        assert wait_until(lambda: not _busy(loops._watches))  # it has answered, and waits again
        assert not _asks(loops, 2.0, is_pressed=False)
        loops.ask_loops(1.0 + ASK_S, is_pressed=False)
        assert loops._watches[0].asked_at_s == 1.0 + ASK_S


def test_a_late_loop_is_looked_at_again_soon() -> None:
    async def check(loops: EventLoops, _: Cpu) -> None:
        loops.ask_loops(100.0, is_pressed=True)
        loops.look_at_loops(100.0 + LATE_S / 2, 0.0)
        assert not loops.are_late
        loops.look_at_loops(100.01 + LATE_S, 0.0)
        assert loops.are_late

    in_a_loop(check)


def test_a_loop_that_was_late_and_has_answered_needs_no_other_look() -> None:
    async def check(loops: EventLoops, _: Cpu) -> None:
        loops.ask_loops(100.0, is_pressed=True)
        await asyncio.sleep(0)
        loops.look_at_loops(101.0, 0.0)
        assert loops._watches[0].lag_s > LATE_S
        assert not loops.are_late

    in_a_loop(check)


def test_a_push_repeats_the_last_lag_where_nothing_was_measured_since() -> None:
    async def check(loops: EventLoops, _: Cpu) -> None:
        loops.ask_loops(100.0, is_pressed=True)
        loops.look_at_loops(102.0, 0.0)
        assert loops.take_state().lag_s == loops.take_state().lag_s == pytest.approx(2.0)

    in_a_loop(check)


def test_a_recent_stall_explains_for_half_a_minute_why_callers_gave_up() -> None:
    async def check(loops: EventLoops, _: Cpu) -> None:
        loops.ask_loops(-10.0, is_pressed=True)
        await asyncio.sleep(0)
        loops.look_at_loops(50.0, 0.0)
        assert isinstance(loops.recent_stall(80.0), Stall)
        assert loops.recent_stall(80.1) is None

    in_a_loop(check)


@contextmanager
def a_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


async def _note(known: KnownLoops) -> None:
    known.note_running_loop()
    known.note_running_loop()


def test_a_loop_is_known_once_and_forgotten_when_it_is_closed() -> None:
    known = KnownLoops()
    known.note_running_loop()  # none runs here
    with a_loop() as loop:
        loop.run_until_complete(_note(known))
        assert [each.loop for each in known.open_loops()] == [loop]
    assert known.open_loops() == []


def test_a_collected_loop_leaves_no_trace() -> None:
    known = KnownLoops()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_note(known))
    loop.close()
    del loop
    gc.collect()
    assert known._by_id == {}


def test_a_loop_for_each_job_never_fills_the_room() -> None:
    known = KnownLoops()
    for _ in range(MAX_LOOPS + 5):
        asyncio.run(_note(known))
    with a_loop() as loop:
        loop.run_until_complete(_note(known))
        assert loop in [each.loop for each in known.open_loops()]


def test_more_loops_than_there_is_room_for_are_left_out() -> None:
    known = KnownLoops()
    loops = [asyncio.new_event_loop() for _ in range(MAX_LOOPS + 2)]
    for loop in loops:
        loop.run_until_complete(_note(known))
    assert len(known.open_loops()) == MAX_LOOPS
    for loop in loops:
        loop.close()


def test_the_line_of_a_thread_is_the_applications_own() -> None:
    place = place_of_thread(threading.get_ident())
    assert place is not None
    assert place[0].endswith("test_loops.py")
    assert place[2] == "test_the_line_of_a_thread_is_the_applications_own"


def test_the_line_that_started_a_loop_is_not_the_one_that_it_stands_at() -> None:
    assert place_of_thread(threading.get_ident(), sys._getframe().f_code) is None


def test_a_thread_without_code_of_the_application_has_no_line() -> None:
    assert place_of_thread(0) is None
    pool_thread = threading.Thread(target=threading.Event().wait, args=(3600,), daemon=True)
    pool_thread.start()
    assert pool_thread.ident is not None
    assert place_of_thread(pool_thread.ident) is None


def test_a_library_that_waits_in_a_selector_blocks_the_loop_that_calls_it() -> None:
    here, there = socket.socketpair()
    selector = selectors.DefaultSelector()
    selector.register(here, selectors.EVENT_READ)
    thread = threading.Thread(target=selector.select)
    thread.start()
    assert thread.ident is not None
    waits = sys._current_frames

    def is_in_selector() -> bool:
        frame = waits().get(thread.ident or 0)
        return frame is not None and frame.f_code.co_filename == selectors.__file__

    try:
        assert wait_until(is_in_selector)
        assert not _is_polling(waits()[thread.ident], None)
    finally:
        there.send(b"x")
        thread.join(30)
        for each in (here, there, selector):
            each.close()

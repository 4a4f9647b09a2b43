"""A look finds the line that keeps a connection, and the call that it waits in."""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType, FrameType
from weakref import ref

import pytest
from anyio import to_thread
from hypothesis import given, settings
from hypothesis import strategies as st

from poolscope.recording.requests import CURRENT, Request
from poolscope.watching.holder_looks import MAX_HOLDERS, HolderLooks, Sighting
from poolscope.watching.owner_stack import LoopThread
from support.applications.holding import (
    CLEAR,
    OPAQUE,
    HeldPool,
    Hold,
    Wrap,
    behind_a_time_limit,
    keeping_line,
    leaves,
)

LEAVES = 4
HERE = "holding.py"


def a_look(pool: HeldPool) -> HolderLooks:
    return HolderLooks(pool.registry, dict)


async def seen_from_a_thread(
    pool: HeldPool, looks: HolderLooks, checkout_id: int
) -> Sighting | None:
    await asyncio.to_thread(looks.look_at_owners, 1.0)
    return looks.holder_sighting(checkout_id)


async def sighting_of(hold: Callable[[asyncio.Event], Hold]) -> Sighting | None:
    """Hold a connection in a task until it is suspended, and look at it from another thread."""
    pool, event, taken = HeldPool(), asyncio.Event(), []

    async def holder() -> None:
        taken.append(pool.take())
        await hold(event)()

    task = asyncio.create_task(holder())
    for _ in range(50):  # every shape is suspended after a few turns of the loop
        await asyncio.sleep(0)
    found = await seen_from_a_thread(pool, a_look(pool), taken[0])
    for each in asyncio.all_tasks() - {asyncio.current_task()}:
        each.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found


def nested(shape: list[Wrap], leaf: int) -> tuple[Callable[[asyncio.Event], Hold], list[str]]:
    """Return a function that makes the nested holder; the list gets the expected line and call."""
    expected: list[str] = []

    def make(event: asyncio.Event) -> Hold:
        lock, queue = asyncio.Lock(), asyncio.Queue[int]()
        lock._locked = True  # type: ignore[attr-defined]  # only a task could take it
        [hold, call] = list(leaves(event, lock, queue).items())[leaf]
        line = keeping_line(hold)
        for wrap in reversed(shape):
            hold = wrap(hold)
            if wrap in OPAQUE:
                line, call = keeping_line(wrap), OPAQUE[wrap]
        expected[:] = str(line), call
        return hold

    return make, expected


shapes = st.lists(st.sampled_from([*CLEAR, *OPAQUE]), max_size=6)


@settings(deadline=None, max_examples=100)
@given(shape=shapes, leaf=st.integers(0, LEAVES - 1))
def test_a_look_never_names_a_wrong_line(shape: list[Wrap], leaf: int) -> None:
    make, expected = nested(shape, leaf)
    found = asyncio.run(sighting_of(make))
    assert found is not None
    place = found.position.site.place
    assert place is not None
    assert [str(place[1]), found.position.call] == expected
    assert place[0].endswith(HERE)


def test_a_time_limit_ends_the_chain_at_its_own_line_or_shows_the_inside() -> None:
    """Up to Python 3.11, `wait_for` runs its awaitable in a task that nothing refers to."""
    make, inside = nested([behind_a_time_limit], 0)
    found = asyncio.run(sighting_of(make))
    assert found is not None
    assert found.position.site.place is not None
    line = found.position.site.place[1]
    assert line in {keeping_line(behind_a_time_limit), int(inside[0])}
    assert found.position.call in {"asyncio.wait_for", "asyncio.Event.wait"}


async def test_looks_in_a_row_at_one_place_are_counted() -> None:
    pool, event = HeldPool(), asyncio.Event()
    taken: list[int] = []

    async def holder() -> None:
        taken.append(pool.take())
        await event.wait()
        await asyncio.sleep(600)

    task = asyncio.create_task(holder())
    await asyncio.sleep(0)
    looks = a_look(pool)
    for now_s in (1.0, 2.0, 3.0):
        await asyncio.to_thread(looks.look_at_owners, now_s)
    found = looks.holder_sighting(taken[0])
    assert found is not None
    assert (found.looks, found.since_s) == (3, 1.0)
    event.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.to_thread(looks.look_at_owners, 4.0)
    found = looks.holder_sighting(taken[0])
    assert found is not None
    assert (found.position.call, found.looks, found.since_s) == ("asyncio.sleep", 1, 4.0)
    task.cancel()


async def test_the_task_that_runs_now_is_read_from_the_thread_of_its_loop() -> None:
    pool = HeldPool()
    loop = asyncio.get_running_loop()
    main = threading.get_ident()
    looks = HolderLooks(pool.registry, lambda: {id(loop): LoopThread(main, None)})
    found: list[Sighting | None] = []

    def computes(checkout_id: int) -> None:
        other = threading.Thread(target=looks.look_at_owners, args=(1.0,))
        other.start()
        other.join()
        found.append(looks.holder_sighting(checkout_id))

    async def holder() -> None:
        computes(pool.take())

    await asyncio.create_task(holder())
    assert found[0] is not None
    assert found[0].position.site.place is not None
    assert found[0].position.site.place[2].endswith("computes")
    # The other thread may look before `start` returns.
    assert found[0].position.call in {"threading.Thread.start", "threading.Thread.join"}


async def test_a_running_task_of_an_unknown_loop_has_no_place() -> None:
    pool = HeldPool()
    looks = a_look(pool)

    async def holder() -> Sighting | None:
        checkout_id = pool.take()
        other = threading.Thread(target=looks.look_at_owners, args=(1.0,))
        other.start()
        other.join()
        return looks.holder_sighting(checkout_id)

    assert await asyncio.create_task(holder()) is None


def waits_in_a_thread(started: threading.Event, end: threading.Event) -> None:
    started.set()
    end.wait()


async def test_a_request_that_waits_for_a_worker_thread_is_where_the_thread_is() -> None:
    pool, taken = HeldPool(), []
    started, end = threading.Event(), threading.Event()

    async def serve() -> None:
        request = Request()
        task = asyncio.current_task()
        assert task is not None
        request.task = ref(task)
        CURRENT.set(request)
        taken.append(pool.take())
        await to_thread.run_sync(waits_in_a_thread, started, end)

    task = asyncio.create_task(serve())
    await asyncio.to_thread(started.wait)
    found = await seen_from_a_thread(pool, a_look(pool), taken[0])
    end.set()
    await task
    assert found is not None
    assert found.position.site.place is not None
    assert found.position.site.place[2] == "waits_in_a_thread"
    assert found.position.call == "threading.Event.wait"


@pytest.fixture
def blocked() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Return the events with which a thread reports that it waits, and is released."""
    started, end = threading.Event(), threading.Event()
    yield started, end
    end.set()


def test_a_thread_is_where_its_frame_is(blocked: tuple[threading.Event, threading.Event]) -> None:
    pool, taken = HeldPool(), []

    def holds() -> None:
        taken.append(pool.take())
        waits_in_a_thread(*blocked)

    thread = threading.Thread(target=holds)
    thread.start()
    blocked[0].wait()
    looks = a_look(pool)
    looks.look_at_owners(1.0)
    found = looks.holder_sighting(taken[0])
    blocked[1].set()
    thread.join()
    assert found is not None
    assert found.position.call == "threading.Event.wait"
    looks.look_at_owners(2.0)
    assert looks.holder_sighting(taken[0]) is None, "the thread has ended"


def test_a_thread_that_runs_an_event_loop_is_outside_its_tasks() -> None:
    pool = HeldPool()
    checkout_id = pool.take()
    looks = a_look(pool)

    async def another_task() -> None:
        await asyncio.sleep(0)
        looks.look_at_owners(1.0)  # this task runs now, and took nothing

    asyncio.run(another_task())
    found = looks.holder_sighting(checkout_id)
    assert found is None or found.position.call == "asyncio.run"
    place = found.position.site.place if found else None
    assert place is None or place[2] == "test_a_thread_that_runs_an_event_loop_is_outside_its_tasks"


def test_the_next_job_of_a_worker_is_not_taken_for_the_one_that_leaked(
    blocked: tuple[threading.Event, threading.Event],
) -> None:
    pool = HeldPool()
    with ThreadPoolExecutor(1) as executor:
        checkout_id = executor.submit(pool.take).result()
        executor.submit(waits_in_a_thread, *blocked)
        blocked[0].wait()
        looks = a_look(pool)
        looks.look_at_owners(1.0)
        blocked[1].set()
    assert looks.holder_sighting(checkout_id) is None


async def test_no_look_keeps_a_frame_or_a_coroutine_alive() -> None:
    pool, event = HeldPool(), asyncio.Event()

    async def holder() -> None:
        pool.take()
        await event.wait()

    tasks = [asyncio.create_task(holder()) for _ in range(5)]
    await asyncio.sleep(0)
    looks = a_look(pool)
    for now_s in range(20):
        await asyncio.to_thread(looks.look_at_owners, float(now_s))
    reachable, todo = set(), [looks]
    while todo:
        each = todo.pop()
        if id(each) in reachable or isinstance(each, type):
            continue
        reachable.add(id(each))
        assert not isinstance(each, (FrameType, CoroutineType, asyncio.Task)), each
        if type(each).__module__.startswith("poolscope.watching") or isinstance(
            each, (dict, list, tuple, set)
        ):
            todo += gc.get_referents(each)
    for task in tasks:
        coroutine = task.get_coro()
        assert isinstance(coroutine, CoroutineType)
        kept = [each for each in gc.get_referrers(coroutine.cr_frame) if isinstance(each, dict)]
        assert kept == []
    event.set()
    await asyncio.gather(*tasks)


async def test_owners_beyond_the_limit_are_not_looked_at() -> None:
    pool, event = HeldPool(), asyncio.Event()

    async def holder() -> None:
        for _ in range(MAX_HOLDERS + 10):
            pool.take()
        await event.wait()

    task = asyncio.create_task(holder())
    await asyncio.sleep(0)
    looks = a_look(pool)
    uses = await asyncio.to_thread(looks.look_at_owners, 1.0)
    assert len(uses) == MAX_HOLDERS + 10
    seen = [use for use in uses if looks.holder_sighting(use.checkout.id)]
    assert len(seen) == MAX_HOLDERS
    event.set()
    await task

"""Who holds a connection and waits for another one of the same pool, and who only seems to."""

import asyncio
import contextvars
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolscope.catalogue import Phase
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.checkout import (
    _is_held_up,
    count_nested,
    held_by_waiters,
    make_record_checkout,
)
from poolscope.recording.leaks import is_idle_thread
from poolscope.recording.pool import OpenCheckout, PoolIdentity, PoolStats, Slot
from poolscope.recording.requests import CURRENT, Request, long_lived
from poolscope.recording.tasks import Owner, ThreadOwner, running_owner
from poolscope.recording.waiters import Waiter, blocked_caller
from support.processes.child_processes import wait_until

record_checkout = make_record_checkout()


class Pool:
    """A pool as its hooks see it: connections that are taken, and callers that wait for one."""

    def __init__(self) -> None:
        reader: Any = None
        self.stats = PoolStats(PoolIdentity("shop"), reader, is_async=True)

    def take(self) -> Slot:
        """Take a connection for the caller that runs now."""
        slot = Slot(self.stats)
        self.stats.slots[id(slot)] = slot
        record_checkout(self.stats, slot, 0.0, 0.0, None, object)
        return slot

    def wait(self) -> None:
        """Block the caller that runs now, for a moment."""
        waiter = blocked_caller(Phase.QUEUE, 0.0, UNKNOWN_SITE, running_owner())
        self.stats.waiting[0] = waiter
        count_nested(self.stats, 0)
        del self.stats.waiting[0]

    @property
    def nested(self) -> int:
        return self.stats.nested


@contextmanager
def a_request() -> Iterator[Request]:
    """Run a block as a request, as `run_request` does."""
    request = Request()
    token = CURRENT.set(request)
    try:
        yield request
    finally:
        request.known_route, request.finished_at_s = "/orders", 0.0
        CURRENT.reset(token)


def run_in_new_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_requests_with_one_connection_each_are_never_nested_whatever_threads_serve_them(
    workers: list[int],
) -> None:
    """The thread that takes the connection of one request serves the next one meanwhile."""
    pool, threads = Pool(), [ThreadPoolExecutor(1) for _ in range(3)]
    contexts = []

    def begin() -> None:
        CURRENT.set(Request())
        pool.wait()
        pool.take()

    for number in workers:
        contexts.append(contextvars.Context())
        threads[number].submit(contexts[-1].run, begin).result()
    for each in threads:
        each.shutdown()
    assert pool.nested == 0
    assert len(pool.stats.open_checkouts()) == len(workers)


@given(st.lists(st.sampled_from(["task", "thread", "request"]), min_size=1, max_size=20))
def test_any_callers_with_one_connection_each_are_never_nested(kinds: list[str]) -> None:
    pool = Pool()

    def take_one() -> None:
        pool.wait()
        pool.take()

    async def in_task() -> None:
        take_one()

    async def in_request() -> None:
        with a_request():
            await asyncio.to_thread(take_one)

    async def run_all() -> None:
        started: list[asyncio.Task[None]] = []
        for kind in kinds:
            if kind == "thread":
                run_in_new_thread(take_one)  # the next thread gets the ident of this one
            else:
                one = in_task() if kind == "task" else in_request()
                started.append(asyncio.create_task(one))
                await started[-1]

    asyncio.run(run_all())
    assert pool.nested == 0


@given(st.integers(0, 10), st.sampled_from(["task", "thread", "request"]))
def test_a_caller_that_holds_one_and_waits_is_nested_among_any_number_of_others(
    others: int, kind: str
) -> None:
    pool = Pool()

    def take_two() -> None:
        pool.take()
        pool.wait()

    async def run() -> None:
        if kind == "request":
            with a_request():
                take_two()
        else:
            take_two()

    for _ in range(others):
        run_in_new_thread(pool.take)
    if kind == "thread":
        run_in_new_thread(take_two)
    else:
        asyncio.run(run())
    assert pool.nested == 1


async def test_a_request_that_holds_in_one_thread_and_waits_in_another_is_nested() -> None:
    pool = Pool()
    with a_request(), ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        for thread, step in ((first, pool.take), (second, pool.wait)):
            thread.submit(contextvars.copy_context().run, step).result()
    assert pool.nested == 1


async def test_two_tasks_that_outlive_their_request_are_two_callers() -> None:
    pool = Pool()

    async def work() -> None:
        pool.wait()
        pool.take()

    with a_request():
        later = [contextvars.copy_context() for _ in range(2)]
    for context in later:
        await asyncio.create_task(work(), context=context)
    assert pool.nested == 0


async def test_a_task_that_awaits_a_request_while_it_holds_one_is_nested() -> None:
    pool = Pool()
    pool.take()  # a fixture of a test, say, that calls the application in its own task
    with a_request():
        pool.wait()
    assert pool.nested == 1


@pytest.mark.parametrize(("waits_inside", "nested"), [(True, 1), (False, 0)])
def test_a_connection_held_for_long_on_purpose_counts_inside_of_its_block_only(
    waits_inside: bool, nested: int
) -> None:
    pool = Pool()
    with long_lived():
        pool.take()
        if waits_inside:
            pool.wait()
    pool.wait()
    assert pool.nested == nested


async def test_a_waiter_that_ended_meanwhile_is_not_counted() -> None:
    pool = Pool()
    pool.take()
    count_nested(pool.stats, 1)
    assert pool.nested == 0


def never_idle(_: ThreadOwner) -> bool:
    return False


def held_up(pool: Pool, *waiters: Waiter, idle: bool = False) -> int:
    return held_by_waiters(pool.stats.open_checkouts(), waiters, lambda _: idle)


def in_queue(owner: Owner | None = None, request: Request | None = None) -> Waiter:
    waiter = blocked_caller(Phase.QUEUE, 0.0, UNKNOWN_SITE, owner or running_owner())
    return waiter._replace(request=request)


CALLERS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12)
"""Each is a request, or none (0), in one of some threads."""


@given(CALLERS, CALLERS)
def test_the_index_of_waiters_finds_every_holder_that_waits(
    holders: list[tuple[int, int]], waiting: list[tuple[int, int]]
) -> None:
    pool = Pool()
    requests = [None, *(Request() for _ in range(3))]
    owners: list[Any] = []
    for _ in range(4):
        run_in_new_thread(lambda: owners.append(running_owner()))
    for request, thread in holders:
        slot = pool.take()
        assert slot.out is not None
        out = OpenCheckout._make(slot.out)
        slot.out = out._replace(request=requests[request], owner=owners[thread])
    queue = [in_queue(owners[thread], requests[request]) for request, thread in waiting]
    checkouts = pool.stats.open_checkouts()
    expected = sum(
        any(_is_held_up(held, waiter, never_idle) for waiter in queue) for held in checkouts
    )
    assert held_by_waiters(checkouts, queue, never_idle) == expected


def test_tasks_of_one_request_that_share_its_pool_hold_nobody_up() -> None:
    """One of them works, the others wait: it returns its connection, and the next one goes on."""
    pool = Pool()

    async def take() -> None:
        pool.take()
        await asyncio.sleep(0)

    async def serve() -> None:
        with a_request() as request:
            task = asyncio.current_task()
            request.task = ref(task) if task is not None else None
            holder = asyncio.create_task(take())
            await asyncio.sleep(0)
            for waiter in (asyncio.create_task(asyncio.sleep(0)) for _ in range(9)):
                assert held_up(pool, in_queue(ref(waiter), request)) == 0
            assert held_up(pool, in_queue(ref(holder), request)) == 1  # unless it waits itself
            await holder
            assert held_up(pool, in_queue(request=request)) == 1  # or is over, with its connection

    asyncio.run(serve())


@pytest.mark.parametrize(("is_idle", "expected"), [(False, 0), (True, 1)])
def test_a_request_whose_next_thread_waits_is_held_up_if_its_last_one_is_idle(
    is_idle: bool, expected: int
) -> None:
    pool, owners = Pool(), []
    with ThreadPoolExecutor(2) as threads, a_request() as request:
        context = contextvars.copy_context()
        threads.submit(context.run, pool.take).result()
        started = threading.Barrier(2)  # each in a thread of its own

        def meet() -> None:
            started.wait(30)
            owners.append(running_owner())

        for each in [threads.submit(meet) for _ in range(2)]:
            each.result()
        [held] = pool.stats.open_checkouts()
        [other] = [owner for owner in owners if owner != held.owner]
        assert held_up(pool, in_queue(other, request), idle=is_idle) == expected


def test_a_thread_between_two_jobs_is_idle_and_one_at_work_is_not() -> None:
    with ThreadPoolExecutor(1) as threads:
        owner = threads.submit(running_owner).result()
        assert isinstance(owner, ThreadOwner)
        assert wait_until(lambda: is_idle_thread(owner))
        begun, end = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            end.wait(30)

        threads.submit(work)
        begun.wait(30)
        assert not is_idle_thread(owner)
        end.set()


def test_a_holder_whose_task_is_gone_waits_for_nothing() -> None:
    pool = Pool()

    async def take() -> None:
        pool.take()

    asyncio.run(take())
    gc.collect()
    assert held_up(pool, in_queue()) == 0


def test_callers_that_wait_for_something_else_than_a_place_hold_nobody_up() -> None:
    pool = Pool()
    pool.take()
    assert held_up(pool, in_queue()._replace(phase=Phase.CONNECT)) == 0
    assert held_up(pool, in_queue()) == 1

"""A look at a holder that moves from line to line never mixes two of its positions."""

import asyncio
import copy
import inspect
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

import pytest

from poolscope.watching import await_chain
from poolscope.watching.await_chain import UnreadableError, read_chain
from poolscope.watching.code_names import CodeNames
from poolscope.watching.holder_looks import HolderLooks
from poolscope.watching.owner_stack import LoopThread, StackReader
from support.applications.holding import HeldPool

LOOKS = 300

SWITCH_S = 2e-5
"""How soon threads take turns: about as long as a look takes, so that some looks are torn."""

CALL = re.compile(r"# waits in ([\w.]+)$")


Seen = Counter[tuple[int, str]]
"""How many looks found a line with a call."""


async def sleeps() -> None:
    await asyncio.sleep(0)  # waits in asyncio.sleep


async def items() -> AsyncIterator[int]:
    await sleeps()
    yield 1
    await asyncio.sleep(0)  # waits in asyncio.sleep


async def reads() -> None:
    async for _ in items():
        await sleeps()


async def groups() -> None:
    async with asyncio.TaskGroup() as group:  # waits in asyncio.
        group.create_task(sleeps())  # waits in asyncio.TaskGroup.create_task
        group.create_task(reads())  # waits in asyncio.TaskGroup.create_task


async def gathers() -> None:
    await asyncio.gather(sleeps(), reads())  # waits in asyncio.gather


async def limits() -> None:
    await asyncio.wait_for(reads(), 600)  # waits in asyncio.wait_for


async def locks(lock: asyncio.Lock) -> None:
    async with lock:  # waits in asyncio.
        await sleeps()


async def moves_in_a_task(pool: HeldPool, looks: HolderLooks) -> Seen:
    """Hold a connection and change the line as often as possible."""
    pool.take()
    lock = asyncio.Lock()
    with looking(looks) as (seen, is_over):
        while not is_over.is_set():  # waits in threading.Event.is_set
            await reads()
            await groups()
            await gathers()
            await limits()
            await locks(lock)
    return seen


def polls(event: threading.Event) -> None:
    event.wait(0)  # waits in threading.Event.wait


def copies() -> None:
    copy.copy([1])  # waits in copy.copy
    computes(range(20))


def computes(numbers: Iterable[int]) -> int:
    total = 0
    for number in numbers:
        total += number
    return total


def moves_in_a_thread(pool: HeldPool, looks: HolderLooks) -> Seen:
    """Do the same in a thread without an event loop."""
    pool.take()
    event = threading.Event()
    with looking(looks) as (seen, is_over):
        while not is_over.is_set():  # waits in threading.Event.is_set
            polls(event)
            copies()
    return seen


@contextmanager
def looking(looks: HolderLooks) -> Iterator[tuple[Seen, threading.Event]]:
    """Look from another thread at all holders; yield what it finds, and whether it has ended."""
    seen: Seen = Counter()
    is_over = threading.Event()

    def look() -> None:
        for number in range(LOOKS):
            for use in looks.look_at_owners(float(number)):
                sighting = looks.holder_sighting(use.checkout.id)
                if sighting is not None and sighting.position.site.place is not None:
                    line = sighting.position.site.place[1]
                    seen[line, sighting.position.call or ""] += 1
            is_over.wait(random.uniform(0, 1e-4))  # so that the holder moves on
        is_over.set()

    thread = threading.Thread(target=look)
    thread.start()  # waits in threading.Thread.start
    yield seen, is_over
    thread.join()


def check(seen: Seen) -> None:
    """Fail if a look found a line with a call that another line makes."""
    source, _ = inspect.getsourcelines(sys.modules[__name__])
    matches = {number: CALL.search(line) for number, line in enumerate(source, 1)}
    right = {number: match[1] for number, match in matches.items() if match}
    wrong = {
        (line, call): count
        for (line, call), count in seen.items()
        if call and not call.startswith(right.get(line, "no call"))
    }
    assert wrong == {}, seen
    assert len(seen) > 1, seen


def test_a_thread_that_leaves_its_function_has_continued() -> None:
    first, second, arrived = threading.Event(), threading.Event(), threading.Semaphore(0)

    def waits_here() -> None:
        arrived.release()
        first.wait()

    def waits_there() -> None:
        arrived.release()
        second.wait()

    def goes_on() -> None:
        waits_here()
        waits_there()

    thread = threading.Thread(target=goes_on)
    thread.start()
    arrived.acquire()
    ident = thread.ident or 0
    reader = StackReader(sys._current_frames(), {}, CodeNames())
    first.set()
    arrived.acquire()
    assert reader.continued_threads({ident}) == {ident}
    second.set()
    thread.join()
    assert reader.continued_threads({ident}) == {ident}
    assert reader.continued_threads(set()) == set()


@pytest.mark.parametrize("read_last", ["_worker_of", "_name"])
def test_a_task_that_continues_at_the_end_of_a_look_is_unreadable(
    read_last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a look reads last belongs to the position that it read first, or to none."""
    loop = asyncio.new_event_loop()
    first, second = loop.create_future(), loop.create_future()

    async def waits_twice() -> None:
        await first
        await second

    task = loop.create_task(waits_twice())
    loop.run_until_complete(sleeps())
    assert read_chain(task).waits_in == "asyncio.Future"
    read = getattr(await_chain, read_last)

    def continue_first(*arguments: object) -> object:
        first.set_result(None)
        loop.run_until_complete(sleeps())
        return read(*arguments)

    monkeypatch.setattr(await_chain, read_last, continue_first)
    with pytest.raises(UnreadableError):
        read_chain(task)
    second.set_result(None)
    loop.run_until_complete(task)
    loop.close()


@pytest.fixture
def fast_switches() -> Iterator[None]:
    """Let threads take turns so often that a look meets a holder in every state."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("fast_switches")
def test_no_look_at_a_moving_task_mixes_two_of_its_positions() -> None:
    pool = HeldPool()

    async def hold() -> Seen:
        loops = {id(asyncio.get_running_loop()): LoopThread(threading.get_ident(), None)}
        looks = HolderLooks(pool.registry, lambda: loops)
        return await moves_in_a_task(pool, looks)

    check(asyncio.run(hold()))
    assert pool.registry.hook_errors == 0, pool.registry.last_hook_error


@pytest.mark.usefixtures("fast_switches")
def test_no_look_at_a_moving_thread_mixes_two_of_its_positions() -> None:
    pool = HeldPool()
    looks = HolderLooks(pool.registry, dict)
    found: list[Seen] = []
    thread = threading.Thread(target=lambda: found.append(moves_in_a_thread(pool, looks)))
    thread.start()
    thread.join()
    check(*found)
    assert pool.registry.hook_errors == 0, pool.registry.last_hook_error

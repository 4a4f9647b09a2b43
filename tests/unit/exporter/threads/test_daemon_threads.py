"""Work of one purpose that hangs keeps no other purpose from its turn."""

import asyncio
import threading

import pytest

from poolscope_exporter.threads.daemon_threads import DaemonThreads


async def test_results_and_errors_come_back() -> None:
    threads = DaemonThreads("test")
    assert await threads.run(max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)
    assert await threads.run(threading.current_thread) is not threading.current_thread()


async def test_a_purpose_that_hangs_hangs_alone() -> None:
    release = threading.Event()
    hanging, other = DaemonThreads("hanging"), DaemonThreads("other")
    waiting = [asyncio.create_task(hanging.run(release.wait)) for _ in range(3)]
    assert await other.run(max, 1, 2) == 2
    release.set()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_no_more_threads_than_allowed_and_none_that_the_end_waits_for() -> None:
    threads = DaemonThreads("test", 2)
    both = threading.Barrier(2)
    await asyncio.gather(*(threads.run(both.wait, 60) for _ in range(2)))
    used = {await threads.run(threading.current_thread) for _ in range(10)}
    assert len(used) <= 2
    assert all(thread.daemon for thread in used)


async def test_work_that_nobody_waits_for_is_not_begun() -> None:
    threads, release = DaemonThreads("test"), threading.Event()
    begun: list[int] = []
    first = asyncio.create_task(threads.run(release.wait))
    given_up = asyncio.create_task(threads.run(begun.append, 1))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    release.set()
    await first
    await threads.run(begun.append, 2)
    assert begun == [2]

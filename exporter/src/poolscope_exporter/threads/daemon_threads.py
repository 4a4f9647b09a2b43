"""Run blocking work in threads of one purpose: if one purpose hangs, the others continue."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Job:
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    work: Callable[[], Any]


class DaemonThreads:
    """At most `most` threads, started when needed; the end of the program does not wait for them.

    The executor of asyncio is shared by all its users, and the program waits for its threads at the
    end.
    """

    def __init__(self, purpose: str, most: int = 1) -> None:
        self._purpose = purpose
        self._most = most
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def run(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """Return the result of the work, or raise its exception.

        Jobs start in the order of the calls.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        if len(self._threads) < self._most:
            self._start_thread()
        self._jobs.put(_Job(loop, future, partial(work, *arguments)))
        return await future

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"poolscope-{self._purpose}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system permits no further thread
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job.future.cancelled():
                continue
            result = error = None
            try:
                result = job.work()
            except BaseException as raised:  # noqa: BLE001 - the caller that awaits it gets it
                error = raised
            with suppress(RuntimeError):  # the loop is closed: no caller waits
                job.loop.call_soon_threadsafe(settle, job.future, result, error)
            del job, result, error


def settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    """Set a future's result or error, unless its caller has stopped waiting."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)

"""Find the frames of the task, thread or greenlet that holds a connection or waits for one."""

import sys
from asyncio import Task
from collections.abc import Mapping, Set
from contextlib import suppress
from threading import __file__ as _threading_file
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from poolscope.recording.callsite import Site, is_loop_code
from poolscope.recording.requests import Request
from poolscope.recording.tasks import Owner, ThreadOwner, hidden_greenlets, task_of
from poolscope.watching.await_chain import (
    MAX_FRAMES,
    Spot,
    UnreadableError,
    is_running,
    read_chain,
    stack_spots,
)
from poolscope.watching.builtin_calls import builtin_call
from poolscope.watching.code_names import CodeNames

_ATTEMPTS: Final = 2
_STARTERS: Final = (_threading_file, "<frozen runpy>")
"""Files with the frames that start a thread or a program."""


class LoopThread(NamedTuple):
    """The thread of an event loop, and the code in it that runs the loop, if known."""

    ident: int
    runner: CodeType | None


class OwnerStack(NamedTuple):
    """The frames of an owner, the outermost first, and the innermost call if it has no frame.

    If frames of a running thread are among them, `ident` is that thread.
    """

    spots: list[Spot]
    waits_in: str | None = None
    ident: int | None = None


class StackReader:
    """The stacks of owners at one instant; `frames` are those of all threads.

    Nothing here waits or runs code of the application. Use it inside `read_frames` only, and drop
    it there: it refers to frames.
    """

    def __init__(
        self,
        frames: Mapping[int, FrameType],
        loops: Mapping[int, LoopThread],
        names: CodeNames,
    ) -> None:
        self._frames = frames
        self._loops = loops
        self._names = names

    def owner_stack(self, owner: Owner, request: Request | None, site: Site) -> OwnerStack | None:
        """Return the stack of an owner, or of the task that serves its request; None if unknown.

        A request may go on after the task or the thread that took its connection has ended.
        """
        serving = _serving_task(request)
        if isinstance(owner, ThreadOwner):
            if serving is not None:
                # The function that took the connection may still run in the worker thread.
                return self._of_thread_at(owner, site) or self._of_task(serving)
            is_sure = request is not None and _is_in_flight(request)
            return self._of_thread(owner, site, is_sure=is_sure)
        task = owner()
        if task is None or task.done():
            task = serving
        return None if task is None else self._of_task(task)

    def continued_threads(self, idents: Set[int]) -> Set[int]:
        """Return those of these threads that left their innermost frame since `frames` was read.

        A thread may continue while its stack is read. Then the frames further out are those of
        another moment, and no line of this stack is certain.
        """
        if not idents:
            return idents
        now = sys._current_frames()  # noqa: SLF001 - public in all but name
        return {each for each in idents if now.get(each) is not self._frames.get(each)}

    def _of_task(self, task: "Task[Any]") -> OwnerStack | None:
        for _ in range(_ATTEMPTS):
            with suppress(UnreadableError):
                if is_running(task):
                    return self._of_running(task, [])
                chain = read_chain(task)
                if chain.running is not None:
                    return self._of_running(chain.running, chain.spots)
                if chain.worker is not None:
                    return self._with_worker(chain.worker.ident, chain.spots, chain.waits_in)
                return OwnerStack(chain.spots, chain.waits_in)
        return None

    def _of_running(self, task: "Task[Any]", outer: list[Spot]) -> OwnerStack:
        """Return the stack of the thread that runs a task now.

        The frames are read again: this task may have begun to run after the others were read.
        """
        loop = Task.get_loop(task)
        thread = self._loops.get(id(loop))
        if thread is None:
            raise UnreadableError
        frame = sys._current_frames().get(thread.ident)  # noqa: SLF001 - public in all but name
        if frame is None or task_of(loop) is not task:
            raise UnreadableError
        spots = stack_spots(frame, lambda code: code is thread.runner or is_loop_code(code))
        found = OwnerStack(outer + spots, self._called_in(frame, spots))
        now = sys._current_frames().get(thread.ident)  # noqa: SLF001 - as above
        if now is not frame or task_of(loop) is not task or not is_running(task):
            raise UnreadableError
        return found

    def _with_worker(
        self, ident: int | None, outer: list[Spot], waits_in: str | None
    ) -> OwnerStack:
        frame = None if ident is None else self._frames.get(ident)
        if frame is None:
            return OwnerStack(outer, waits_in)
        spots = stack_spots(frame, is_loop_code)
        return OwnerStack(outer + spots, self._called_in(frame, spots), ident)

    def _of_thread_at(self, owner: ThreadOwner, site: Site) -> OwnerStack | None:
        """Return the stack of a thread only if the function of the call site is on it."""
        frame = self._frame_of(owner)
        spots = stack_spots(frame)
        if frame is None or not _is_on(site, spots):
            return None
        return OwnerStack(spots, self._called_in(frame, spots), owner.ident)

    def _of_thread(self, owner: ThreadOwner, site: Site, *, is_sure: bool) -> OwnerStack | None:
        frame = self._frame_of(owner)
        if frame is None:
            return None
        spots = stack_spots(frame)
        if not (is_sure or self._is_of_one_job(spots) or _is_on(site, spots)):
            return None
        outside = _outside_loops(spots)
        called = self._called_in(frame, spots) if outside is spots else None
        return OwnerStack(outside, called, owner.ident if owner.greenlet is None else None)

    def _frame_of(self, owner: ThreadOwner) -> FrameType | None:
        if owner.life() is None:
            return None
        if owner.greenlet is not None:
            greenlet = owner.greenlet()
            return None if greenlet is None else greenlet.gr_frame
        # The frame of a thread with hidden greenlets may belong to any of them.
        return None if hidden_greenlets() else self._frames.get(owner.ident)

    def _is_of_one_job(self, spots: list[Spot]) -> bool:
        """Return whether a thread was made for the application's function, or is its program.

        A worker of a pool runs one job after another. The job that took the connection may be over.
        """
        if len(spots) >= MAX_FRAMES:
            return False  # the outermost frame was not read
        files = (code.co_filename for code, _ in spots if code.co_filename not in _STARTERS)
        outermost = next(files, None)
        return outermost is not None and self._names.is_application(outermost)

    def _called_in(self, frame: FrameType, spots: list[Spot]) -> str | None:
        if spots and self._names.may_be_application(frame.f_code.co_filename):
            return builtin_call(frame, spots[-1][1])  # the instruction of the line that is reported
        return None


def _outside_loops(spots: list[Spot]) -> list[Spot]:
    """Return the frames up to an event loop that the thread runs.

    The thread took the connection outside any task. So the tasks of the loop are not its owner.
    """
    for index, (code, _) in enumerate(spots):
        if is_loop_code(code):
            return spots[: index + 1]
    return spots


def _is_on(site: Site, spots: list[Spot]) -> bool:
    return site.code is not None and any(code is site.code for code, _ in spots)


def _is_in_flight(request: Request) -> bool:
    return request.finished_at_s is None and not request.long_lived


def _serving_task(request: Request | None) -> "Task[Any] | None":
    if request is None or request.task is None or not _is_in_flight(request):
        return None
    task = request.task()
    return None if task is None or task.done() else task

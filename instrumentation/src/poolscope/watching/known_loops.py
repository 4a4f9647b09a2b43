"""Collect the event loops that use a pool, so that another thread can check whether they run."""

from asyncio import AbstractEventLoop
from threading import get_ident
from typing import Any, NamedTuple
from weakref import ReferenceType, ref

from poolscope.recording.tasks import running_loop

MAX_LOOPS = 16
"""Most event loops of a process that are watched at a time."""


class KnownLoop(NamedTuple):
    """An event loop, and the thread in which it ran."""

    loop: AbstractEventLoop
    ident: int


class KnownLoops:
    """The event loops on which a pool was used; hooks add to them without a lock.

    A loop is kept by a weak reference. It is dropped when it is closed or collected.
    """

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[ReferenceType[Any], int]] = {}

    def __len__(self) -> int:
        """Return the number of loops; closed ones count until `open_loops` drops them."""
        return len(self._by_id)

    def note_running_loop(self) -> None:
        """Add the loop that runs in this thread, if there is one and there is room for it."""
        loop = running_loop()
        if loop is None or id(loop) in self._by_id:
            return
        if len(self._by_id) >= MAX_LOOPS:
            self.open_loops()
        if len(self._by_id) < MAX_LOOPS:
            self._add(loop)

    def open_loops(self) -> list[KnownLoop]:
        """Return the loops that are not closed, and drop the others."""
        found = []
        for key, (reference, ident) in dict(self._by_id).items():
            loop = reference()
            if loop is None or loop.is_closed():
                self._by_id.pop(key, None)
            else:
                found.append(KnownLoop(loop, ident))
        return found

    def _add(self, loop: AbstractEventLoop) -> None:
        key = id(loop)
        try:
            # Without the callback, a later loop at the same address would be taken for this one.
            reference = ref(loop, lambda _: self._by_id.pop(key, None))
        except TypeError:
            return  # an application's loop class that allows no weak references
        self._by_id[key] = reference, get_ident()

"""Find the connections that a test took and did not return, without an exporter."""

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from poolscope.clock import monotonic
from poolscope.instrumentation import Instrumentation, active, start
from poolscope.recording.callsite import Site
from poolscope.recording.pool import OpenCheckout, PoolStats, next_checkout_id
from poolscope.recording.requests import Request
from poolscope.recording.tasks import ThreadOwner, is_gone, this_thread

MAY_COME_BACK_S = 1.0
"""How long a check waits for a connection that a running thread may still return."""

MAX_POOLS = 1000
"""Limit of pools for a test run: tests make many engines, and some tests keep them."""

_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Unreturned:
    """A connection that was not returned: its pool, its call site and its age.

    `held_s` is None if the garbage collector has collected the connection.
    """

    pool: str
    site: Site
    route: str | None
    held_s: float | None

    def __str__(self) -> str:
        """Describe it in a line: `tests/test_shop.py:12 in test_order: pool shop, still out …`."""
        place = self.site.place
        where = f"{place[0]}:{place[1]} in {place[2]}" if place else "at an unknown line"
        route = f", route {self.route}" if self.route else ""
        if self.held_s is None:
            fate = "garbage-collected without being closed"
        else:
            fate = f"still out after {self.held_s:.2f} s"
        return f"{where}: pool {self.pool}{route}, {fate}"


def instrument_quietly() -> Callable[[], None]:
    """Instrument this process so that nothing is ever pushed; return a function that undoes it.

    An application that calls `poolscope.instrument()` later gets this instrumentation, and cannot
    remove it. If the application has called it before, its instrumentation stops pushing: the
    pusher would take the records that a check needs.
    """
    before = active()
    instrumentation = before or start(None, metrics="exporter", disabled=False, max_pools=MAX_POOLS)
    assert instrumentation is not None
    _silence(instrumentation)

    def undo() -> None:
        vars(instrumentation).pop("uninstrument", None)
        if before is None:
            instrumentation.uninstrument()

    return undo


def _silence(instrumentation: Instrumentation) -> None:
    registry = instrumentation.registry
    registry.on_activity = registry.on_shutdown = _nothing
    instrumentation.pusher.stop()
    instrumentation.watcher.stop()
    vars(instrumentation)["uninstrument"] = _nothing


def _nothing() -> None:
    """Do nothing, in place of a start of the threads, a last push or a detachment."""


class LeakWatch:
    """A watch of every connection taken from now on; `unreturned` returns those still missing.

    Connections that are declared by `poolscope.long_lived()` may be kept.
    """

    def __init__(self) -> None:
        self._since = next_checkout_id()
        self._excused: set[int] = set()

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Excuse the connections that are taken within this block and still out after it.

        A fixture that outlives the test keeps its connection on purpose.
        """
        since = next_checkout_id()
        try:
            yield
        finally:
            self._excused |= {held.id for _, held in _open_checkouts() if held.id > since}

    def unreturned(self, may_come_back_s: float = MAY_COME_BACK_S) -> list[Unreturned]:
        """Return the connections taken since the beginning that are out, or collected unreturned.

        Waits at most `may_come_back_s` for connections of other threads that still run. A server
        in the test's process returns its connection only after the client has its answer.
        """
        deadline_s = monotonic() + may_come_back_s
        while any(_runs_elsewhere(held) for _, held in self._blamed()) and monotonic() < deadline_s:
            time.sleep(_POLL_S)
        if self._blamed():
            _collect_garbage()
        now_s = monotonic()
        still_out = [_still_out(pool, held, now_s) for pool, held in self._blamed()]
        return still_out + self._collected()

    def _blamed(self) -> list[tuple[str, OpenCheckout]]:
        return [
            (pool, held)
            for pool, held in _open_checkouts()
            if self._blames(held.id) and not (held.request is not None and held.request.long_lived)
        ]

    def _blames(self, checkout_id: int) -> bool:
        return checkout_id > self._since and checkout_id not in self._excused

    def _collected(self) -> list[Unreturned]:
        return [
            Unreturned(stats.identity.name, item.site, _route(item.request), None)
            for stats in _pools()
            for item in list(stats.collected)
            if self._blames(item.id)
        ]


def _pools() -> list[PoolStats]:
    instrumentation = active()
    return [pool.stats for pool in instrumentation.registry.pools] if instrumentation else []


def _open_checkouts() -> list[tuple[str, OpenCheckout]]:
    return [(stats.identity.name, held) for stats in _pools() for held in stats.open_checkouts()]


def _still_out(pool: str, held: OpenCheckout, now_s: float) -> Unreturned:
    """Describe a checkout; a pool may not notice that its connection was collected."""
    held_s = None if held.alive() is None else now_s - held.taken_at_s
    return Unreturned(pool, held.site, _route(held.request), held_s)


def _route(request: Request | None) -> str | None:
    return request.route if request is not None else None


def _runs_elsewhere(held: OpenCheckout) -> bool:
    """Return whether another task or thread that runs has the connection, and may return it."""
    owner = held.owner
    if isinstance(owner, ThreadOwner):
        return owner != this_thread.owner and not is_gone(owner)
    task = owner()
    return task is not None and not task.done() and task.get_loop().is_running()


def _collect_garbage() -> None:
    """Collect garbage now: a leak in a reference cycle must count for this test, not a later."""
    with warnings.catch_warnings():
        # Drivers warn when they are collected unclosed; the check reports the leak with its line.
        warnings.simplefilter("ignore")
        gc.collect()

"""One cell while it runs: a pool, its server, and our numbers held against the truth."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from conformance.column import Column, Options, PoolUnderTest
from conformance.proxy import Proxy
from poolscope import catalogue
from poolscope.catalogue import CloseReason
from poolscope.clock import monotonic
from poolscope.pushing.samples import Sample
from poolscope.recording.leaks import Leak
from support.applications.apps import Readings

SETTLED_WITHIN_S = 60.0
PATIENTLY_S = 60.0
COLLECTED = "leak: garbage_collected"


class Case:
    """Counts by itself what the situation does to the pool: `taken` and `failed` are the truth."""

    def __init__(
        self, column: Column, options: Options, server: Proxy, dsn: str, readings: Readings
    ) -> None:
        self.column = column
        self.options = options
        self.server = server
        self.dsn = dsn
        self.readings = readings
        self.pool = column.make()
        self.more_pools: list[PoolUnderTest] = []
        self.taken = 0
        self.failed = 0
        self.leaked = 0
        self.outside = 0
        """Connections that the pool has let go of, but that are still open."""
        self.may_hold_dead = False
        """Whether the pool may not have noticed yet that the server ended some connections."""

    @property
    def limit(self) -> int:
        return self.options.keep + self.options.overflow

    @property
    def out(self) -> float:
        """How many checkouts are out by our numbers; 0 before a pool is known."""
        return self.total(catalogue.CHECKOUTS) - self.total(catalogue.CHECKINS)

    async def take(self, timeout_s: float = PATIENTLY_S) -> Any:
        """Take a connection, and count that, or that it failed."""
        try:
            handle = await self.pool.take(timeout_s)
        except BaseException:
            self.failed += 1
            raise
        self.taken += 1
        return handle

    async def use(self, handle: Any, statement: str = "select 1") -> None:
        await self.pool.use(handle, statement)

    async def give_back(self, *handles: Any) -> None:
        for handle in handles:
            await self.pool.give_back(handle)

    async def warm_up(self) -> None:
        """Leave one idle connection in the pool."""
        handle = await self.take()
        await self.use(handle)
        await self.give_back(handle)

    async def fill(self) -> list[Any]:
        """Take all there are."""
        return [await self.take() for _ in range(self.limit)]

    async def pause(self) -> None:
        """Let other tasks and threads go on."""
        if self.column.is_async:
            await asyncio.sleep(0.005)
        else:
            time.sleep(0.005)  # noqa: ASYNC251 - synchronous pools run without a loop

    async def until(
        self, holds: Callable[[], bool], explain: Callable[[], str] = lambda: "it never held"
    ) -> None:
        """Wait until a condition holds."""
        deadline_s = monotonic() + SETTLED_WITHIN_S
        while not holds():  # asked once: a pool that opens a connection meanwhile is no failure
            assert monotonic() < deadline_s, explain()
            await self.pause()

    async def check(self, *, out: int, used: int | None = None) -> None:
        """Hold every number against the truth; `used` where it is not the checkouts that are out.

        What the network and the pool's own workers do takes a moment; what hooks count does not.
        """
        read = self.readings
        assert read.value(catalogue.CHECKOUTS) == read.value(catalogue.WAIT_TIME) == self.taken
        assert read.value(catalogue.CHECKINS) == read.value(catalogue.USE_TIME)
        assert self.out == out
        assert self.total(catalogue.CHECKOUT_FAILURES) == self.failed
        assert read.value(catalogue.PENDING_REQUESTS) == 0
        assert self.total(catalogue.LEAKS) == self.leaked
        used = out if used is None else used
        await self.until(lambda: self._agrees(used), self._numbers)

    def _agrees(self, used: int) -> bool:
        read, truth = self.readings, self.pool.truth()
        assert read.used is not None
        assert read.idle is not None
        by_library = truth is None or truth.agrees(read.used, read.idle)
        open_here, open_there = read.used + read.idle + self.outside, self.server.open
        by_server = open_here == open_there or (self.may_hold_dead and open_here > open_there)
        return by_library and by_server and read.used == used

    def _numbers(self) -> str:
        read = self.readings
        ours = f"poolscope says used={read.used} idle={read.idle}"
        return f"{ours}, the library {self.pool.truth()}, open at the server {self.server.open}"

    def total(
        self, metric: catalogue.Metric, counts: Callable[[Sample], bool] = lambda _: True
    ) -> float:
        """Add up a metric over all pools and attributes, or over the samples that count."""
        values = [sample.value for sample in self.readings.samples(metric) if counts(sample)]
        return sum(value for value in values if isinstance(value, (int, float)))

    def look_for_leaks(self, *, after_s: float = 0.0) -> list[Leak]:
        """Look for leaks as the pusher would look so many seconds from now."""
        found = []
        for _, watched in self.readings.instrumentation.registry.named_pools():
            collected = [*watched.stats.collected]
            watched.stats.collected.clear()
            found += watched.leaks.scan(
                watched.stats.open_checkouts(), collected, monotonic() + after_s
            )
        self.leaked += len(found)
        return found

    def expect_no_leak(self) -> None:
        """Find nothing now, and nothing a minute later."""
        assert not self.look_for_leaks()
        assert not self.look_for_leaks(after_s=60)

    def counted(self) -> str:
        """Say in words what poolscope counted: the text of the cell."""
        leaks = self._leaks()
        # How a library then rids itself of a collected connection changes with its version.
        words = leaks if COLLECTED in leaks else [*self._reasons(), *leaks]
        if self.total(catalogue.BLOCKING_CHECKOUTS):
            words.append("blocking checkout")
        if self.out:
            words.append("still out")
        return ", ".join(words) or "returned"

    def _reasons(self) -> list[str]:
        """Name the reasons counted, but for the one of every return to a pool that keeps none."""
        by_metric = (
            ("", catalogue.CHECKOUT_FAILURES, catalogue.REASON),
            ("connect error: ", catalogue.CONNECT_ERRORS, catalogue.KIND),
            ("invalidated: ", catalogue.INVALIDATED, catalogue.REASON),
            ("closed: ", catalogue.CLOSED, catalogue.REASON),
            ("shared: ", catalogue.SHARED_CONNECTIONS, catalogue.REASON),
        )
        words = (
            f"{prefix}{sample.attributes[attribute]}"
            for prefix, metric, attribute in by_metric
            for sample in self.readings.samples(metric)
            if sample.value and sample.attributes[attribute] != CloseReason.NOT_POOLED
        )
        return list(dict.fromkeys(words))  # a counter may tell lines apart, too

    def _leaks(self) -> list[str]:
        counts = {"leak": catalogue.LEAKS, "recovered": catalogue.LEAKS_RECOVERED}
        return [
            f"{word}: {evidence}"
            for word, metric in counts.items()
            for evidence in Counter(
                str(sample.attributes[catalogue.EVIDENCE])
                for sample in self.readings.samples(metric)
                if sample.value
            )
        ]


Play = Callable[[Case], Awaitable[None]]

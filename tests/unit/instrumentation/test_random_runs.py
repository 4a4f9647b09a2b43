"""Any interleaving of what can happen to a pool leaves our numbers equal to the truth."""

import asyncio
import gc
import os
import sqlite3
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import greenlet_spawn

from poolscope import catalogue
from poolscope.catalogue import Metric
from support.applications.apps import instrumented
from support.applications.dbapi import Server, an_engine
from support.processes.garbage import set_aside_what_is_loaded

T = TypeVar("T")

LONG = os.environ.get("RANDOM_RUNS") == "long"
PROFILE = settings(
    max_examples=1000 if LONG else 40,
    stateful_step_count=80 if LONG else 40,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
HELD_AT_MOST = 3
TIMEOUT_S = 0.001
"""Callers give up at once: in a single thread, nobody returns a connection meanwhile."""


class CountingServer(Server):
    """Knows which of its connections are open."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self._connections: weakref.WeakSet[sqlite3.Connection] = weakref.WeakSet()

    def connect(self) -> sqlite3.Connection:
        connection = super().connect()
        self.made += 1
        self._connections.add(connection)
        return connection

    @property
    def open(self) -> int:
        return sum(is_open(connection) for connection in self._connections)


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        _ = connection.total_changes
    except sqlite3.ProgrammingError:
        return False
    return True


class SyncPool:
    """A QueuePool and its engine."""

    def __init__(self, server: Server, *, pre_ping: bool, recycle: int) -> None:
        self._engine = an_engine(
            server, pool_timeout=TIMEOUT_S, pool_pre_ping=pre_ping, pool_recycle=recycle
        )
        # The first connection asks the database for its version.
        self._engine.connect().close()
        self._engine.dispose()

    def take(self) -> Any:
        return self._engine.raw_connection()

    def run(self, work: Callable[[], T]) -> T:
        return work()

    def dispose(self) -> None:
        self._engine.dispose()

    def end(self) -> None:
        self._engine.dispose()


class AsyncPool:
    """An AsyncAdaptedQueuePool on a loop of its own; it has no engine, and so no pre-ping."""

    def __init__(self, server: Server, *, pre_ping: bool, recycle: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._pool = AsyncAdaptedQueuePool(
            server.connect,  # type: ignore[arg-type]
            pool_size=2,
            max_overflow=1,
            timeout=TIMEOUT_S,
            recycle=recycle,
        )

    def take(self) -> Any:
        return self.run(self._pool.connect)

    def take_and_cancel(self, meanwhile: Callable[[], None]) -> Any:
        """Ask, do something else when the caller waits, and cancel it in the same tick."""
        return self._loop.run_until_complete(self._take_and_cancel(meanwhile))

    async def _take_and_cancel(self, meanwhile: Callable[[], None]) -> Any:
        asking = asyncio.create_task(greenlet_spawn(self._pool.connect))
        await asyncio.sleep(0)
        await greenlet_spawn(meanwhile)
        asking.cancel()
        return await asking

    def run(self, work: Callable[[], T]) -> T:
        return self._loop.run_until_complete(greenlet_spawn(work))

    def dispose(self) -> None:
        self.run(self._pool.dispose)

    def end(self) -> None:
        self.dispose()
        self._loop.close()


class RandomRun(RuleBasedStateMachine):
    """Counts by itself what it does; `held`, `outside` and `dead` are what callers have."""

    @initialize(
        kind=st.sampled_from([SyncPool, AsyncPool]),
        pre_ping=st.booleans(),
        recycle=st.sampled_from([-1, 0]),
    )
    def begin(self, kind: type[SyncPool | AsyncPool], pre_ping: bool, recycle: int) -> None:
        self.context = instrumented()
        self.readings = self.context.__enter__()
        registry = self.readings.instrumentation.registry
        for _, earlier in registry.named_pools():  # of other tests, where something keeps engines
            registry.unwatch(earlier.stats)
        gc.freeze()  # so that each of the many collections looks at this run's own objects only
        self.leaked = 0
        self.failures: Counter[str] = Counter()
        self.held: list[Any] = []
        self.outside: list[Any] = []
        self.dead: list[Any] = []
        self.server = CountingServer()
        self.pool: Any = kind(self.server, pre_ping=pre_ping, recycle=recycle)
        self.taken = int(self.count(catalogue.CHECKOUTS))  # what the pool's own making took

    def count(self, metric: Metric, **attributes: str) -> float:
        return self.readings.value(metric, **attributes) or 0

    def pick(self, index: int) -> Any:
        return self.held.pop(index % len(self.held))

    def note_take(self, take: Callable[[], Any]) -> None:
        try:
            self.held.append(take())
        except PoolTimeoutError:
            self.failures["timeout"] += 1
        except asyncio.CancelledError:
            self.failures["cancelled"] += 1
        except (sqlite3.OperationalError, ConnectionRefusedError):
            self.failures["error"] += 1
        else:
            self.taken += 1

    @rule()
    def take(self) -> None:
        self.note_take(self.pool.take)

    @precondition(lambda self: isinstance(self.pool, AsyncPool))
    @rule()
    def take_and_cancel(self) -> None:
        self.note_take(lambda: self.pool.take_and_cancel(lambda: None))

    @precondition(lambda self: isinstance(self.pool, AsyncPool) and self.held)
    @rule(index=st.integers(0, HELD_AT_MOST))
    def hand_over_and_cancel(self, index: int) -> None:
        handle = self.pick(index)
        self.note_take(lambda: self.pool.take_and_cancel(handle.close))

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, HELD_AT_MOST))
    def give_back(self, index: int) -> None:
        self.pool.run(self.pick(index).close)

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, HELD_AT_MOST))
    def use(self, index: int) -> None:
        handle = self.pick(index)
        try:
            handle.cursor().execute("select 1")
        except sqlite3.OperationalError as error:
            lost = error  # what libraries above the pool do with an error of the connection
            self.pool.run(lambda: handle.invalidate(lost))
            self.dead.append(handle)
        else:
            self.held.append(handle)

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, HELD_AT_MOST))
    def invalidate(self, index: int) -> None:
        handle = self.pick(index)
        self.pool.run(handle.invalidate)
        self.dead.append(handle)

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, HELD_AT_MOST))
    def invalidate_softly(self, index: int) -> None:
        self.held[index % len(self.held)].invalidate(soft=True)

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, HELD_AT_MOST))
    def detach(self, index: int) -> None:
        handle = self.pick(index)
        self.pool.run(handle.detach)
        self.outside.append(handle)

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, HELD_AT_MOST))
    def leak(self, index: int) -> None:
        handle = self.pick(index)
        del handle
        gc.collect()
        self.leaked += 1

    @precondition(lambda self: self.outside or self.dead)
    @rule()
    def close_what_is_no_longer_of_the_pool(self) -> None:
        for handle in self.outside + self.dead:
            self.pool.run(handle.close)
        self.outside, self.dead = [], []

    @rule()
    def dispose(self) -> None:
        self.pool.dispose()

    @rule(refusing=st.booleans(), broken=st.booleans())
    def server_changes(self, refusing: bool, broken: bool) -> None:
        self.server.refusing, self.server.broken = refusing, broken

    @invariant()
    def counts_are_what_was_done(self) -> None:
        assert self.count(catalogue.CHECKOUTS) == self.count(catalogue.WAIT_TIME) == self.taken
        ended = self.taken - len(self.held)
        assert self.count(catalogue.CHECKINS) == self.count(catalogue.USE_TIME) == ended
        assert self.count(catalogue.TIMEOUTS) == self.failures["timeout"]
        for reason in catalogue.FailureReason:
            counted = self.count(catalogue.CHECKOUT_FAILURES, reason=reason)
            assert counted == self.failures[reason]
        assert self.count(catalogue.OPENED) == self.count(catalogue.CREATE_TIME)
        assert self.count(catalogue.OPENED) == self.server.made
        assert self.count(catalogue.PENDING_REQUESTS) == 0
        assert self.readings.instrumentation.registry.hook_errors == 0

    @invariant()
    def gauges_are_what_is_open(self) -> None:
        gc.collect()  # a pool that was disposed of closes what comes back only when collected
        used, idle = self.readings.used or 0, self.readings.idle or 0
        assert used == len(self.held)
        assert used + idle + len(self.outside) == self.server.open

    @invariant()
    def leaks_are_those_that_were_made(self) -> None:
        self.readings.scan()
        samples = self.readings.samples(catalogue.LEAKS)
        assert sum(float(s.value) for s in samples if isinstance(s.value, int)) == self.leaked

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        for handle in self.held + self.outside + self.dead:
            self.pool.run(handle.close)
        self.pool.end()
        self.context.__exit__(None, None, None)
        # The next run's instrumentation would find this engine while hypothesis keeps us.
        del self.pool, self.server, self.held, self.outside, self.dead


@pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up")
def test_any_interleaving_leaves_our_numbers_equal_to_the_truth(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(
        "CRITICAL", logger="sqlalchemy.pool"
    )  # a captured record would keep a leaked connection alive
    try:
        run_state_machine_as_test(RandomRun, settings=PROFILE)
    finally:
        set_aside_what_is_loaded()

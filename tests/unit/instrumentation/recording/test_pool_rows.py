"""Pools that come and go have one row with true totals; living pools are never summed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from poolscope import catalogue
from poolscope.pushing.creation_counts import generation_samples
from poolscope.pushing.retired_pools import RetiredPools
from poolscope.pushing.samples import counter_samples
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.pool import PoolIdentity, PoolStats, Slot
from poolscope.recording.pool_rows.row import RESTS_S
from poolscope.recording.registry import Registry
from support.applications.still_pool import StillPool

ORDERS, REPORTS = PoolIdentity("orders", "orders"), PoolIdentity("reports", "reports")


def first_line() -> None:
    """Stand for a line of an application."""


def second_line() -> None:
    """Stand for another line of an application."""


LINES = [Site(each.__code__, 0) for each in (first_line, second_line)]


class Owner:
    """The owner of a pool: the pool ends with it."""


@dataclass(eq=False)
class Pool:
    """A pool of a made-up library, as an adapter sees it."""

    registry: Registry
    identity: PoolIdentity = ORDERS
    site: Site = UNKNOWN_SITE
    library: str = ""
    owner: Any = field(default_factory=Owner)
    reader: StillPool = field(default_factory=StillPool)
    out: list[Slot] = field(default_factory=list)
    stats: PoolStats | None = None

    def __post_init__(self) -> None:
        self.attach()

    def attach(self) -> None:
        """Do what an adapter does at the first use, and at the first use after a disposal."""
        if self.stats is not None and self.registry.keeps_row(self.owner, self.stats):
            return
        made = PoolStats(self.identity, self.reader, library=self.library)
        self.stats = self.registry.watch(self.owner, made, self.site)

    def dispose(self) -> None:
        """Do what an adapter does when an engine is disposed, which may be used again."""
        assert self.stats is not None
        self.registry.release_row(self.owner, self.stats)

    def take(self) -> None:
        assert self.stats is not None
        slot = Slot(self.stats)
        slot.out = (1, 0.0, UNKNOWN_SITE, None, Owner, None, Owner)  # type: ignore[assignment]
        self.stats.slots[slot] = slot
        self.stats.waits.append(0.01)
        self.out.append(slot)

    def give_back(self) -> None:
        slot = self.out.pop()
        slot.stats.end(slot, 1.0)
        slot.stats.slots.pop(slot)

    def use(self) -> None:
        self.take()
        self.give_back()


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def names(registry: Registry) -> list[str]:
    return [identity.name for identity, _ in registry.named_pools()]


def present(registry: Registry) -> list[str]:
    """Return the names of the rows that take part in checks and pages."""
    return [identity.name for identity, row in registry.named_pools() if not row.is_gone]


def checkouts(registry: Registry, retired: RetiredPools) -> Counter[str]:
    """Return the checkouts of a push, by name."""
    pools = registry.named_pools()
    retired.retire(registry.retired, [pool for _, pool in pools])
    own = (
        sample
        for identity, pool in pools
        for sample in counter_samples(identity, pool.stats, pool.leaks)
    )
    found: Counter[str] = Counter()
    for sample in retired.completed(own):
        if sample.metric is catalogue.CHECKOUTS:
            assert isinstance(sample.value, int)
            found[str(sample.attributes[catalogue.POOL_NAME])] += sample.value
    return found


def test_a_row_that_is_handed_on_or_renamed_still_notices_waits_as_slow_as_the_setting() -> None:
    registry = Registry()
    registry.slow_wait_s = 2.0
    registry.finders.append(lambda target: target if isinstance(target, PoolStats) else None)
    first = Pool(registry)
    first.use()
    first.dispose()
    following = Pool(registry)
    assert following.stats is not None
    assert following.stats is first.stats
    registry.rename(following.stats, "invoices")
    assert (following.stats.slow.slow_s, following.stats.noticed_wait_s) == (2.0, 2.0)


def test_a_thousand_pools_in_a_row_are_one_row_with_a_thousand_checkouts() -> None:
    registry = Registry(max_pools=5)
    for _ in range(1000):
        Pool(registry).use()
    assert checkouts(registry, RetiredPools()) == {"orders": 1000}
    assert registry.pools_refused == 0
    [(_, row)] = registry.named_pools()
    assert row.generation == 1000


def test_a_thousand_pools_that_are_closed_but_not_collected_are_one_row() -> None:
    """Celery closes Django's pool after each task; reference cycles keep the closed ones."""
    registry, pools = Registry(max_pools=5), []
    for _ in range(1000):
        pools.append(Pool(registry))
        pools[-1].use()
        pools[-1].reader.closed = True
    assert checkouts(registry, RetiredPools()) == {"orders": 1000}


def test_a_thousand_disposed_engines_that_are_not_collected_are_one_row() -> None:
    registry, pools = Registry(max_pools=5), []
    for _ in range(1000):
        pools.append(Pool(registry))
        pools[-1].use()
        pools[-1].dispose()
    assert checkouts(registry, RetiredPools()) == {"orders": 1000}


def test_living_pools_have_a_row_each() -> None:
    registry = Registry()
    pools = [Pool(registry) for _ in range(3)]
    for times, pool in enumerate(pools):
        for _ in range(times + 1):
            pool.use()
    assert checkouts(registry, RetiredPools()) == {"orders": 1, "orders-2": 2, "orders-3": 3}


def test_a_pool_whose_connection_is_out_keeps_its_row_after_its_end() -> None:
    registry = Registry()
    first = Pool(registry)
    first.take()
    first.owner = None
    second = Pool(registry)
    assert names(registry) == ["orders", "orders-2"]
    first.give_back()
    assert present(registry) == ["orders-2"]
    assert second.stats is not None


def test_an_engine_that_is_used_again_after_its_disposal_has_its_row_still() -> None:
    registry = Registry()
    engine = Pool(registry)
    engine.use()
    engine.dispose()
    engine.attach()
    engine.use()
    other = Pool(registry)
    other.use()
    assert checkouts(registry, RetiredPools()) == {"orders": 2, "orders-2": 1}


def test_an_engine_whose_row_was_taken_gets_another_one() -> None:
    registry = Registry()
    engine = Pool(registry)
    engine.use()
    engine.dispose()
    other = Pool(registry)
    engine.attach()
    engine.use()
    other.use()
    assert checkouts(registry, RetiredPools()) == {"orders": 2, "orders-2": 1}
    assert engine.stats is not other.stats


def test_an_engine_that_is_disposed_twice_gives_away_no_row_of_another() -> None:
    registry = Registry()
    engine = Pool(registry)
    engine.use()
    engine.dispose()
    other = Pool(registry)
    other.use()
    engine.dispose()
    third = Pool(registry)
    third.use()
    assert checkouts(registry, RetiredPools()) == {"orders": 2, "orders-2": 1}


def test_a_pool_takes_the_row_of_its_own_line_first() -> None:
    registry = Registry()
    first, second = (Pool(registry, site=line) for line in LINES)
    first.use()
    second.use()
    registry.named_pools()
    del first, second
    third = Pool(registry, site=LINES[1])
    assert present(registry) == ["orders-2"]
    assert third.stats is not None


def test_the_pool_after_a_migration_gets_the_good_name() -> None:
    """The migration's engine was made at another line, and never comes back."""
    registry = Registry()
    Pool(registry, site=LINES[0]).use()
    assert present(registry) == []
    application = Pool(registry, site=LINES[1])
    application.use()
    assert present(registry) == ["orders"]
    assert checkouts(registry, RetiredPools()) == {"orders": 2}


def test_a_pool_of_another_library_gets_the_name_and_its_totals_but_no_row() -> None:
    registry = Registry()
    Pool(registry, library="sqlalchemy").use()
    registry.named_pools()
    other = Pool(registry, library="asyncpg")
    other.use()
    assert checkouts(registry, RetiredPools()) == {"orders": 2}
    [(_, row)] = registry.named_pools()
    assert row.generation == 1


def test_pools_of_two_databases_have_a_row_each() -> None:
    registry = Registry()
    for _ in range(3):
        Pool(registry, ORDERS).use()
        Pool(registry, REPORTS).use()
    assert checkouts(registry, RetiredPools()) == {"orders": 3, "reports": 3}


def test_a_row_that_several_pools_had_stays_for_a_while_after_the_last() -> None:
    """A worker's row would come and go between any two of its tasks."""
    time = Time()
    registry = Registry(clock=time)
    for _ in range(2):
        Pool(registry).use()
    assert present(registry) == ["orders"]
    time.now_s += RESTS_S - 0.1
    assert present(registry) == ["orders"]
    time.now_s += 0.1
    assert (present(registry), names(registry)) == ([], ["orders"])
    Pool(registry).use()
    assert present(registry) == ["orders"]


def test_a_row_that_rests_has_no_connections_and_its_last_settings() -> None:
    registry = Registry()
    for most in (5, 7):
        Pool(registry, reader=StillPool(most=most)).use()
    [(_, row)] = registry.named_pools()
    state, configuration = row.stats.reader.state({}), row.stats.reader.configuration()
    assert (state.used, state.idle) == (0, 0)  # type: ignore[union-attr]
    assert configuration is not None
    assert configuration.max == 7


def test_a_pool_that_was_never_used_leaves_no_row() -> None:
    registry = Registry()
    Pool(registry)
    assert names(registry) == []


@pytest.mark.parametrize("happening", ["failures", "connect_errors"])
def test_a_pool_whose_callers_all_failed_was_used(happening: str) -> None:
    registry = Registry()
    pool = Pool(registry)
    getattr(pool.stats, happening)["error"] += 1
    del pool
    assert names(registry) == ["orders"]


def test_pools_that_are_named_one_after_another_have_a_row_for_each_name() -> None:
    registry, retired = Registry(), RetiredPools()
    registry.finders.append(lambda target: getattr(target, "stats", None))
    for tenant in ("a", "b", "a", "a", "b"):
        pool = Pool(registry)
        assert registry.rename(pool, tenant)
        pool.use()
        checkouts(registry, retired)
        del pool
    assert checkouts(registry, retired) == {"a": 3, "b": 2}


def test_counts_from_before_a_pool_was_named_stay_with_the_name_before() -> None:
    registry, retired = Registry(), RetiredPools()
    registry.finders.append(lambda target: getattr(target, "stats", None))
    for _ in range(3):
        Pool(registry).use()
    pool = Pool(registry)
    registry.rename(pool, "jobs")
    pool.use()
    assert checkouts(registry, retired) == {"orders": 3, "jobs": 1}


def test_a_forked_child_begins_at_zero_with_the_living_pools_alone() -> None:
    registry = Registry()
    for _ in range(3):
        Pool(registry).use()
    kept = Pool(registry, REPORTS)
    kept.use()
    registry.named_pools()
    registry.forget_counts()
    assert names(registry) == ["reports"]
    kept.use()
    assert checkouts(registry, RetiredPools()) == {"reports": 1}


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("{line}", ["jobs", "reports"]),
        ("{file}", ["jobs", "jobs"]),
        ("orders", ["jobs", "reports"]),
        ("elsewhere.py:1", ["orders", "reports"]),
    ],
)
def test_a_pool_has_the_name_of_its_line_its_file_or_its_database(
    key: str, named: list[str]
) -> None:
    line = LINES[0].label
    name = key.format(line=line, file=line.rpartition(":")[0])
    registry = Registry(pool_names={name: "jobs"})
    pools = [Pool(registry, ORDERS, LINES[0]), Pool(registry, REPORTS, LINES[1])]
    assert names(registry) == named
    assert len(pools) == 2


def test_the_name_for_a_database_is_not_for_a_pool_that_has_a_name() -> None:
    registry = Registry(pool_names={"orders": "main"})
    pool = Pool(registry, PoolIdentity("jobs", "orders"))
    assert names(registry) == ["jobs"]
    assert pool.stats is not None


def test_a_push_has_the_line_of_each_row_and_whether_it_is_gone() -> None:
    registry = Registry()
    Pool(registry, site=LINES[0]).use()
    kept = Pool(registry, REPORTS, LINES[1])
    samples = list(generation_samples(registry.named_pools()))
    assert [
        (s.attributes[catalogue.CALL_SITE], s.attributes[catalogue.POOL_IS_GONE], s.value)
        for s in samples
    ] == [(LINES[0].label, True, 1), (LINES[1].label, False, 1)]
    assert kept.stats is not None


class PoolsComeAndGo(RuleBasedStateMachine):
    """Any order of making, using, disposing, collecting and pushing, against the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.registry = Registry(max_pools=4, clock=self.time)
        self.retired = RetiredPools()
        self.living: list[Pool] = []
        self.disposed: list[Pool] = []
        self.taken = 0
        self.most = 0
        self.before: Counter[str] = Counter()

    def pick(self, pools: list[Pool], index: int) -> Pool:
        return pools[index % len(pools)]

    @precondition(lambda self: len(self.living) < 4)
    @rule(
        identity=st.sampled_from([ORDERS, REPORTS]),
        line=st.sampled_from(LINES),
        library=st.sampled_from(["sqlalchemy", "asyncpg"]),
    )
    def make(self, identity: PoolIdentity, line: Site, library: str) -> None:
        pool = Pool(self.registry, identity, line, library)
        if pool.stats is not None:
            self.living.append(pool)
        self.most = max(self.most, len(self.living))

    @precondition(lambda self: self.living)
    @rule(index=st.integers(0, 9))
    def take(self, index: int) -> None:
        self.pick(self.living, index).take()
        self.taken += 1

    @precondition(lambda self: any(pool.out for pool in self.living))
    @rule(index=st.integers(0, 9))
    def give_back(self, index: int) -> None:
        self.pick([pool for pool in self.living if pool.out], index).give_back()

    @precondition(lambda self: any(not pool.out for pool in self.living))
    @rule(index=st.integers(0, 9), how=st.sampled_from(["collect", "close", "dispose"]))
    def end(self, index: int, how: str) -> None:
        pool = self.pick([pool for pool in self.living if not pool.out], index)
        self.living.remove(pool)
        if how == "collect":
            pool.owner = None
        elif how == "close":
            pool.reader.closed = True
        else:
            pool.dispose()
            self.disposed.append(pool)

    @precondition(lambda self: self.disposed)
    @rule(index=st.integers(0, 9))
    def dispose_again(self, index: int) -> None:
        self.pick(self.disposed, index).dispose()

    @precondition(lambda self: self.disposed and len(self.living) < 4)
    @rule(index=st.integers(0, 9))
    def use_again(self, index: int) -> None:
        pool = self.pick(self.disposed, index)
        self.disposed.remove(pool)
        pool.attach()
        if pool.stats is not None:
            self.living.append(pool)
        self.most = max(self.most, len(self.living))

    @rule(later_s=st.sampled_from([1.0, RESTS_S]))
    def push(self, later_s: float) -> None:
        self.time.now_s += later_s
        now = checkouts(self.registry, self.retired)
        assert sum(now.values()) == self.taken
        assert all(now[name] >= count for name, count in self.before.items())
        self.before = now

    @invariant()
    def living_pools_are_never_summed(self) -> None:
        rows = Counter(id(pool.stats) for pool in self.living)
        assert all(count == 1 for count in rows.values())

    @invariant()
    def no_name_is_twice(self) -> None:
        assert all(count == 1 for count in Counter(names(self.registry)).values())

    @invariant()
    def there_is_no_ghost_row(self) -> None:
        """Check that a row that is shown has a pool, or rests."""
        shown = {id(row.stats) for _, row in self.registry.named_pools() if not row.is_gone}
        has_pool = {id(pool.stats) for pool in (*self.living, *self.disposed)}
        resting = {id(row.stats) for row in self.registry.pools if row.generation > 1}
        assert shown <= has_pool | resting
        assert {id(pool.stats) for pool in self.living} <= shown


def test_any_order_of_making_using_and_ending_pools_leaves_the_truth() -> None:
    run_state_machine_as_test(
        PoolsComeAndGo, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )

"""Counters of a pool name never fall, however many pools had it."""

from poolscope import catalogue
from poolscope.catalogue import Evidence, Kind
from poolscope.pushing.retired_pools import RetiredPools
from poolscope.pushing.samples import Sample, counter_samples
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.histogram import Buckets
from poolscope.recording.pool import CollectedCheckout, PoolIdentity, PoolStats
from poolscope.recording.registry import Registry
from support.applications.apps import instrumented
from support.applications.still_pool import StillPool

IDENTITY = PoolIdentity("orders")


class Engine:
    """The owner of a pool, which an application drops."""


def used(registry: Registry, times: int, *, library: str = "") -> Engine:
    """Return an engine with a pool that was used, and leaked once.

    A pool of another library takes no row of this one: it takes its place, and its name.
    """
    engine = Engine()
    stats = registry.watch(engine, PoolStats(IDENTITY, StillPool(), library=library))
    assert stats is not None
    [pool] = [each for each in registry.pools if each.stats is stats]
    for _ in range(times):
        stats.wait.count_value(0.01)
    pool.leaks.leaked[Evidence.TASK_FINISHED, "/orders", ""] += 1
    registry.named_pools()
    return engine


def pushed(registry: Registry, retired: RetiredPools) -> dict[tuple[str, str], float]:
    """Return the counters of a push, by metric and pool."""
    pools = registry.named_pools()
    retired.retire(registry.retired, [pool for _, pool in pools])
    own = (
        sample
        for identity, pool in pools
        for sample in counter_samples(identity, pool.stats, pool.leaks)
    )
    found: dict[tuple[str, str], float] = {}
    for sample in retired.completed(own):
        value = sample.value
        name = str(sample.attributes[catalogue.POOL_NAME])
        number = sum(value.counts) if isinstance(value, Buckets) else value
        key = sample.metric.name, name
        found[key] = found.get(key, 0) + number
    return found


def test_counters_never_fall_while_engines_come_and_go() -> None:
    registry, retired = Registry(max_pools=3), RetiredPools()
    before: dict[tuple[str, str], float] = {}
    for times in range(1, 20):
        engine = used(registry, times, library=str(times % 2))
        now = pushed(registry, retired)
        assert all(now.get(key, 0) >= value for key, value in before.items())
        before = now
        del engine
    total = sum(value for (name, _), value in before.items() if name == catalogue.CHECKOUTS.name)
    waits = sum(value for (name, _), value in before.items() if name == catalogue.WAIT_TIME.name)
    leaks = sum(value for (name, _), value in before.items() if name == catalogue.LEAKS.name)
    assert (total, waits, leaks) == (sum(range(1, 20)), sum(range(1, 20)), 19)


def test_a_counter_does_not_fall_in_the_push_that_retires_a_row() -> None:
    with instrumented() as readings:
        for times in range(1, 5):
            engine = used(readings.instrumentation.registry, 1, library=str(times % 2))
            assert readings.total(catalogue.CHECKOUTS) == times
            del engine


def test_pool_that_is_dropped_between_list_and_push_is_counted_once() -> None:
    registry, retired = Registry(max_pools=1), RetiredPools()
    engine = used(registry, 5)
    pools = registry.named_pools()
    del engine
    kept = used(registry, 0, library="other")
    retired.retire(registry.retired, [pool for _, pool in pools])
    assert list(retired.completed([])) == []
    assert pushed(registry, retired)[catalogue.CHECKOUTS.name, "orders"] == 5
    assert kept is not None


def test_push_under_pressure_gets_only_the_series_that_it_has() -> None:
    registry, retired = Registry(max_pools=1), RetiredPools()
    used(registry, 5)
    kept = used(registry, 1, library="other")
    retired.retire(registry.retired, [pool for _, pool in registry.named_pools()])
    [pool] = registry.pools
    identity = pool.identity
    assert identity is not None
    own = [
        each
        for each in counter_samples(identity, pool.stats, pool.leaks)
        if each.metric is catalogue.CHECKOUTS
    ]
    assert [each.value for each in retired.added(own)] == [6]
    assert kept is not None


def test_gauges_are_left_alone() -> None:
    registry, retired = Registry(max_pools=1), RetiredPools()
    used(registry, 5)
    kept = used(registry, 1, library="other")
    retired.retire(registry.retired, [])
    gauge = Sample(catalogue.MAX, {catalogue.POOL_NAME: "orders"}, 7)
    assert gauge in retired.completed([gauge])
    assert catalogue.MAX.kind is not Kind.COUNTER
    assert kept is not None


def test_pool_that_never_had_a_name_is_counted_with_the_name_that_it_asked_for() -> None:
    registry, retired = Registry(max_pools=1), RetiredPools()
    stats = registry.watch(Engine(), PoolStats(IDENTITY, StillPool()))
    assert stats is not None
    stats.wait.count_value(0.01)
    kept = used(registry, 2, library="other")
    assert pushed(registry, retired)[catalogue.CHECKOUTS.name, "orders"] == 3
    assert kept is not None


def test_leaks_of_a_retired_pool_are_found_though_nobody_scanned_it() -> None:
    registry, retired = Registry(max_pools=1), RetiredPools()
    stats = registry.watch(Engine(), PoolStats(IDENTITY, StillPool()))
    assert stats is not None
    stats.wait.count_value(0.01)
    stats.collected.append(CollectedCheckout(7, UNKNOWN_SITE, None))
    kept = used(registry, 0, library="other")
    assert pushed(registry, retired)[catalogue.LEAKS.name, "orders"] == 2
    assert kept is not None

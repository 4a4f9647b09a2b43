"""Of two senders that push one new metric as different kinds, the later one gets the reason."""

import pytest

from poolscope.catalogue import Kind
from poolscope_exporter.core.admission.family_kinds import KindConflict
from poolscope_exporter.core.fleet.fleet import Fleet, PushResult
from poolscope_exporter.core.model.pushes import HistogramValue, Point, Push
from support.exporter.builders import a_point, a_pool, a_push, an_instance

NEW = "db.client.connection.novelty"
BUCKETS = HistogramValue((0.1, 1.0), (1, 2, 3), 4.5)
GONE_S = 10_000.0


def new(kind: Kind, metric: str = NEW, unit: str = "") -> Point:
    return Point(metric, kind, unit, {}, BUCKETS if kind is Kind.HISTOGRAM else 1.0)


def of(service: str, *points: Point, is_end: bool = False) -> Push:
    instance = an_instance(service, service)
    return a_push(*points, instance=instance, sequence=None, is_end=is_end)


def pushed_after(first: Point, second: Point, fleet: Fleet | None = None) -> PushResult:
    """Return the result of the second sender's push."""
    known = fleet or Fleet()
    assert known.record_push(of("one", first), 100.0).reason is None
    return known.record_push(of("two", second), 100.0)


def shown(fleet: Fleet, now_s: float = 100.0) -> list[tuple[str, Kind]]:
    return [(instance.name, point.kind) for instance, point in fleet.series(now_s)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (new(Kind.GAUGE), new(Kind.HISTOGRAM)),
        (new(Kind.HISTOGRAM), new(Kind.UP_DOWN_COUNTER)),
        (new(Kind.COUNTER), new(Kind.GAUGE)),
        (new(Kind.GAUGE, f"{NEW}.time"), new(Kind.COUNTER, f"{NEW}_time")),
        (new(Kind.GAUGE, f"{NEW}.seconds"), new(Kind.HISTOGRAM, unit="s")),
    ],
)
def test_second_kind_of_a_new_metric_is_refused_and_counted(first: Point, second: Point) -> None:
    fleet = Fleet()
    result = pushed_after(first, second, fleet)

    assert result.reason == "refused: 1 conflicting_kind"
    assert fleet.refused == {"conflicting_kind": 1}
    kept = Kind.GAUGE if first.kind is Kind.GAUGE else first.kind
    assert result.conflicts == {KindConflict(second.metric, second.kind, kept)}
    assert shown(fleet) == [("one", first.kind)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (new(Kind.GAUGE), new(Kind.UP_DOWN_COUNTER)),  # one type of Prometheus
        (new(Kind.HISTOGRAM), new(Kind.HISTOGRAM)),
        (new(Kind.GAUGE), new(Kind.HISTOGRAM, unit="s")),  # another unit is another name
    ],
)
def test_senders_that_agree_are_both_kept(first: Point, second: Point) -> None:
    fleet = Fleet()
    assert pushed_after(first, second, fleet).reason is None
    assert shown(fleet) == [("one", first.kind), ("two", second.kind)]


def test_kinds_of_one_sender_may_conflict_too() -> None:
    fleet = Fleet()
    result = fleet.record_push(of("one", new(Kind.GAUGE), new(Kind.COUNTER)), 100.0)
    assert result.conflicts == {KindConflict(NEW, Kind.COUNTER, Kind.GAUGE)}


def test_metric_of_the_catalogue_conflicts_with_nothing() -> None:
    """Its kind is fixed; any other is refused before."""
    assert pushed_after(a_point(), a_point()).conflicts == frozenset()


def test_kind_is_free_again_when_the_last_series_is_dropped() -> None:
    fleet = Fleet()
    pushed_after(new(Kind.GAUGE), new(Kind.GAUGE), fleet)
    fleet.record_push(of("one", is_end=True), 100.0)
    still = fleet.record_push(of("three", new(Kind.COUNTER)), 100.0)
    fleet.record_push(of("two", is_end=True), 100.0)
    free = fleet.record_push(of("three", new(Kind.COUNTER)), 100.0)

    assert (still.reason, free.reason) == ("refused: 1 conflicting_kind", None)
    assert shown(fleet) == [("three", Kind.COUNTER)]


def test_kind_is_free_again_when_its_process_is_forgotten() -> None:
    fleet = Fleet()
    fleet.record_push(of("one", new(Kind.COUNTER)), 100.0)
    fleet.tick(GONE_S)
    assert fleet.record_push(of("two", new(Kind.GAUGE)), GONE_S).reason is None


def test_series_without_room_takes_no_name() -> None:
    """Otherwise a sender could take any number of names."""
    fleet = Fleet(max_pools_per_instance=1)
    pools = [a_pool(name=name) for name in ("first", "second")]
    first, second = (
        Point(f"{NEW}.{n}", Kind.GAUGE, "", a_point(pool=pool).attributes, 1.0)
        for n, pool in enumerate(pools)
    )
    assert fleet.record_push(of("one", first, second), 100.0).reason == "refused: 1 too_many_pools"
    assert fleet.record_push(of("two", new(Kind.COUNTER, f"{NEW}.1")), 100.0).reason is None

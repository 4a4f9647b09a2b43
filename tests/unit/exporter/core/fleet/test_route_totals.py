"""Route counters of a service add up over its processes, and never fall or count anything twice."""

import pytest

from poolscope import catalogue
from poolscope.catalogue import HTTP_ROUTE, PROCESS_PID, Metric, Publisher
from poolscope_exporter.core.fleet import fleet
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.service_totals.route_totals import ServiceTotals, service_pool_of
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Point
from support.exporter.builders import a_point, a_pool, a_push, an_instance


def ended(value: float, route: str = "/orders", metric: Metric = catalogue.ROUTE_CHECKOUTS,
          *, instance: Instance | None = None, is_delta: bool = False) -> Point:  # fmt: skip
    return a_point(
        metric,
        value,
        pool=a_pool(instance),
        attributes={HTTP_ROUTE: route},
        is_delta=is_delta,
    )


def totals(fleet: Fleet) -> dict[str, float]:
    return {t.route: t.value for t in fleet.route_totals() if t.metric.endswith("checkouts")}


class Story:
    """A fleet and its pushes; an exporter that has been up for long."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.fleet.record_push(a_push(instance=an_instance("bystander")), 0.0)

    def push(
        self,
        now_s: float,
        value: float,
        *,
        of: str = "shop-1",
        sequence: int | None = 1,
        pid: str = "1",
        is_end: bool = False,
        is_delta: bool = False,
    ) -> None:
        instance = an_instance(of)
        push = a_push(
            ended(value, instance=instance, is_delta=is_delta),
            instance=instance,
            sequence=sequence,
            resource={PROCESS_PID: pid},
            is_end=is_end,
        )
        assert self.fleet.record_push(push, now_s).accepted

    @property
    def total(self) -> float:
        return totals(self.fleet)["/orders"]


def test_processes_of_a_service_add_up_and_no_instance_is_named() -> None:
    story = Story()
    story.push(1_000.0, 3.0)
    story.push(1_001.0, 4.0, of="shop-2")
    [total] = story.fleet.route_totals()
    assert total.value == 7.0
    assert (total.pool.service, total.pool.pool, total.route) == ("shop", "orders", "/orders")


def test_route_series_are_not_exposed_by_instance() -> None:
    story = Story()
    story.push(1_000.0, 3.0)
    assert list(story.fleet.series(1_000.0)) == []


def test_held_time_and_checkouts_are_kept_apart() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(ended(3.0), ended(1.5, metric=catalogue.ROUTE_HELD_TIME)), 100.0)
    assert {t.metric: t.value for t in fleet.route_totals()} == {
        catalogue.ROUTE_CHECKOUTS.name: 3.0,
        catalogue.ROUTE_HELD_TIME.name: 1.5,
    }


def test_push_adds_what_came_since_the_last_one() -> None:
    story = Story()
    for sequence, value in enumerate((3.0, 3.0, 8.0), start=1):
        story.push(1_000.0 + sequence, value, sequence=sequence)
    assert story.total == 8.0


def test_pushes_that_were_lost_are_made_good_by_the_next() -> None:
    story = Story()
    story.push(1_000.0, 3.0, sequence=1)
    story.push(1_020.0, 20.0, sequence=5)
    assert story.total == 20.0


@pytest.mark.parametrize("pid", ["1", "2"])
def test_process_that_starts_again_goes_on_from_where_the_sum_is(pid: str) -> None:
    story = Story()
    story.push(1_000.0, 30.0, sequence=6)
    story.push(1_100.0, 2.0, sequence=1, pid=pid)
    assert story.total == 32.0


@pytest.mark.parametrize("is_end", [True, False])
def test_sum_outlives_the_process(is_end: bool) -> None:
    story = Story()
    story.push(1_000.0, 30.0, is_end=is_end)
    story.fleet.tick(2_000.0)
    assert [state.instance.id for state in story.fleet.instances(2_000.0)] == []
    assert story.total == 30.0


@pytest.mark.parametrize(("silence_s", "is_there"), [(86_400.0, True), (86_400.1, False)])
def test_sum_of_a_service_that_is_gone_for_a_day_goes(silence_s: float, is_there: bool) -> None:
    story = Story()
    story.push(1_000.0, 30.0)
    story.fleet.tick(1_000.0 + silence_s)
    assert bool(totals(story.fleet)) is is_there


def test_process_that_was_forgotten_and_comes_back_is_not_counted_twice() -> None:
    story = Story()
    story.push(1_000.0, 30.0, sequence=2)
    story.fleet.tick(2_000.0)
    # It was frozen, so that the number of its pushes did not tell its age.
    story.push(2_000.0, 31.0, sequence=3)
    story.push(2_005.0, 33.0, sequence=4)
    assert story.total == 32.0


@pytest.mark.parametrize(
    ("sequence", "uptime_s", "counts"),
    [
        (1, 0.0, True),
        (2, 4.99, False),
        (2, 5.0, True),
        (121, 9_999.0, True),
        (122, 9_999.0, False),
    ],
)
def test_what_a_process_counted_before_we_listened_is_left_out(
    sequence: int, uptime_s: float, counts: bool
) -> None:
    story = Story()
    story.push(uptime_s, 30.0, sequence=sequence)
    assert story.total == (30.0 if counts else 0.0)
    story.push(uptime_s + 5.0, 34.0, sequence=sequence + 1)
    assert story.total == (34.0 if counts else 4.0)


def test_route_that_comes_up_later_counts_from_zero() -> None:
    story = Story()
    story.push(10.0, 30.0, sequence=500)
    push = a_push(ended(31.0), ended(2.0, "/new"), sequence=501, resource={PROCESS_PID: "1"})
    story.fleet.record_push(push, 15.0)
    assert totals(story.fleet) == {"/orders": 1.0, "/new": 2.0}


def test_foreign_sender_counts_from_where_it_was_first_heard() -> None:
    story = Story()
    story.push(1_000.0, 30.0, sequence=None)
    story.push(1_060.0, 37.0, sequence=None)
    assert story.total == 7.0


def test_counter_that_fell_was_reset() -> None:
    story = Story()
    story.push(1_000.0, 30.0, sequence=1)
    story.push(1_005.0, 4.0, sequence=2)
    assert story.total == 34.0


def test_deltas_add_up() -> None:
    story = Story()
    for sequence in (1, 2):
        story.push(1_000.0 + sequence, 5.0, sequence=sequence, is_delta=True)
    assert story.total == 10.0


def test_what_the_applications_provider_publishes_is_not_summed() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(ended(3.0), publisher=Publisher.PROVIDER), 100.0)
    assert totals(fleet) == {}
    fleet.record_push(a_push(ended(5.0), sequence=2), 105.0)
    assert totals(fleet) == {"/orders": 0.0}


def test_routes_beyond_the_caps_are_counted_together() -> None:
    sums = ServiceTotals(max_routes_per_pool=2, max_routes=3)
    for pool in (service_pool_of(a_pool()), service_pool_of(a_pool(name="reports"))):
        for route in "abcd":
            assert sums.add_growth(pool, route, "n", 1.0, 100.0)
    assert {(t.pool.pool, t.route): t.value for t in sums.totals()} == {
        ("orders", "a"): 1.0,
        ("orders", "b"): 1.0,
        ("orders", "other"): 2.0,
        ("reports", "other"): 4.0,
    }


def test_services_beyond_the_cap_are_refused_and_forgotten_ones_make_room() -> None:
    sums = ServiceTotals(max_pools=1, max_routes=1)
    first, second = (service_pool_of(a_pool(name=name)) for name in "ab")
    assert sums.add_growth(first, "/", "n", 1.0, 100.0)
    assert not sums.add_growth(second, "/", "n", 1.0, 200.0)
    sums.expire_pools(150.0)
    assert sums.add_growth(second, "/", "n", 1.0, 200.0)
    assert [(t.pool.pool, t.route) for t in sums.totals()] == [("b", "/")]


def test_a_service_beyond_the_cap_is_refused_with_the_reason() -> None:
    fleet = Fleet()
    fleet._routes = ServiceTotals(max_pools=1, max_routes=9)
    first, second = (an_instance(f"{name}-1", name) for name in ("shop", "bank"))
    assert fleet.record_push(a_push(ended(1.0, instance=first), instance=first), 100.0).accepted
    result = fleet.record_push(a_push(ended(1.0, instance=second), instance=second), 100.0)
    assert (result.rejected_points, result.reason) == (1, "refused: 1 too_many_services")


def test_refused_routes_are_counted() -> None:
    fleet = Fleet(max_series_per_pool=2, max_pools_per_instance=1)
    points = [*(ended(1.0, route) for route in "abc"), a_point(
        catalogue.ROUTE_CHECKOUTS, pool=a_pool(name="reports"), attributes={HTTP_ROUTE: "/"}
    )]  # fmt: skip
    result = fleet.record_push(a_push(*points), 100.0)
    assert result.reason == "refused: 1 too_many_series, 1 too_many_pools"


def test_names_of_forgotten_processes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "MAX_LEFT", 2)
    known = fleet.FirstSeen()
    for name in ("a", "b", "c"):
        known.record_forgotten(an_instance(name), "1")
    first, *rest = (a_push(instance=an_instance(name)) for name in ("a", "b", "c"))
    assert known.counts_from_zero(first, 100.0)
    assert not any(known.counts_from_zero(push, 100.0) for push in rest)

"""The fleet is what applications say, for as long as they can be taken to say it."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope.catalogue import PROCESS_PID, Publisher
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.held_list import MAX_HELD
from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import HistogramValue, Point, PoolGeneration, PoolsMade
from support.exporter.builders import (
    a_checkout,
    a_point,
    a_pool,
    a_push,
    an_instance,
    holding,
    pool_points,
)

CONTAINER = {PROCESS_PID: "1"}


def values(fleet: Fleet, now_s: float) -> dict[str, float | HistogramValue]:
    return {point.metric: point.value for _, point in fleet.series(now_s)}


def held_ids(fleet: Fleet, now_s: float) -> list[int]:
    return [reported.checkout.id for reported in fleet.held(now_s)]


def test_series_of_a_push_are_exposed_with_their_instance() -> None:
    fleet = Fleet()
    result = fleet.record_push(a_push(a_point(value=7.0)), 100.0)
    [(instance, point)] = fleet.series(100.0)
    assert (instance, point.value) == (an_instance(), 7.0)
    assert (result.rejected_points, result.reason) == (0, None)


def test_series_that_the_applications_provider_publishes_are_judged_and_not_exposed() -> None:
    fleet = Fleet()
    push = a_push(
        *pool_points(used=3),
        publisher=Publisher.PROVIDER,
        held=(holding(a_checkout()),),
    )
    fleet.record_push(push, 100.0)
    assert list(fleet.series(100.0)) == []
    assert fleet.pools(100.0)[a_pool()].used == 3
    assert held_ids(fleet, 100.0) == [1]


def test_cumulative_points_replace_and_deltas_add_up() -> None:
    fleet = Fleet()
    for sequence, value in ((1, 5.0), (2, 7.0)):
        delta = a_point(catalogue.CHECKINS, value, is_delta=True, start_ns=sequence)
        fleet.record_push(a_push(a_point(value=value), delta, sequence=sequence), 100.0 + sequence)
    assert values(fleet, 102.0) == {"poolscope.checkouts": 7.0, "poolscope.checkins": 12.0}
    [total] = [point for _, point in fleet.series(102.0) if point.metric == "poolscope.checkins"]
    assert (total.is_delta, total.start_ns) == (False, 1)


def test_delta_histograms_add_up_by_bucket() -> None:
    fleet = Fleet()
    for sequence, counts in ((1, (1, 0, 2)), (2, (0, 3, 1))):
        point = a_point(catalogue.WAIT_TIME, HistogramValue((0.1, 1.0), counts, 2.0), is_delta=True)
        fleet.record_push(a_push(point, sequence=sequence), 100.0 + sequence)
    [(_, total)] = fleet.series(102.0)
    assert total.value == HistogramValue((0.1, 1.0), (1, 3, 3), 4.0)


def test_delta_histogram_with_other_bounds_starts_anew() -> None:
    fleet = Fleet()
    other = HistogramValue((0.5,), (1, 1), 1.0)
    for sequence, value in ((1, HistogramValue((0.1,), (9, 9), 9.0)), (2, other)):
        point = a_point(catalogue.WAIT_TIME, value, is_delta=True)
        fleet.record_push(a_push(point, sequence=sequence), 100.0 + sequence)
    assert values(fleet, 102.0) == {catalogue.WAIT_TIME.name: other}


def test_gauge_that_a_push_leaves_out_is_gone_and_counters_stay() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(*pool_points(), a_point()), 100.0)
    fleet.record_push(a_push(sequence=2), 105.0)
    assert values(fleet, 105.0) == {"poolscope.checkouts": 1.0}
    assert fleet.pools(105.0) == {}


@pytest.mark.parametrize(("silence_s", "is_there"), [(14.99, True), (15.0, True), (15.01, False)])
def test_three_missed_pushes_end_what_is_of_the_moment(silence_s: float, is_there: bool) -> None:
    fleet = Fleet()
    push = a_push(
        *pool_points(),
        a_point(),
        held=(holding(a_checkout()),),
        backend_pids={a_pool(): frozenset({1})},
    )
    fleet.record_push(push, 100.0)
    now_s = 100.0 + silence_s
    assert bool(fleet.held(now_s)) is is_there
    assert (a_pool() in fleet.pools(now_s)) is is_there
    assert bool(fleet.live_backend_pids(now_s)) is is_there
    assert ("db.client.connection.max" in values(fleet, now_s)) is is_there
    assert "poolscope.checkouts" in values(fleet, now_s)
    assert [state.is_live for state in fleet.instances(now_s)] == [is_there]


def test_end_marker_ends_what_is_of_the_moment_at_once() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(*pool_points(), held=(holding(a_checkout()),)), 100.0)
    fleet.record_push(a_push(*pool_points(), a_point(value=9.0), sequence=2, is_end=True), 101.0)
    assert values(fleet, 101.0) == {"poolscope.checkouts": 9.0}
    assert fleet.held(101.0) == []
    assert fleet.pools(101.0) == {}
    assert [(state.ended, state.is_live) for state in fleet.instances(101.0)] == [(True, False)]


@pytest.mark.parametrize("is_end", [True, False])
@pytest.mark.parametrize(("silence_s", "is_there"), [(600.0, True), (600.01, False)])
def test_counters_stay_ten_minutes_for_the_last_scrape(
    is_end: bool, silence_s: float, is_there: bool
) -> None:
    fleet = Fleet()
    fleet.record_push(a_push(a_point(), is_end=is_end), 100.0)
    assert bool(list(fleet.series(100.0 + silence_s))) is is_there
    assert bool(fleet.instances(100.0 + silence_s)) is is_there
    fleet.tick(100.0 + silence_s)
    assert bool(fleet._processes) is is_there


def test_counter_that_stopped_in_a_live_process_is_forgotten() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(a_point(), a_point(catalogue.CHECKINS)), 100.0)
    fleet.record_push(a_push(a_point(), sequence=2), 700.01)
    assert values(fleet, 700.01) == {"poolscope.checkouts": 1.0}


@pytest.mark.parametrize(("silence_s", "is_there"), [(180.0, True), (180.01, False)])
def test_foreign_sender_is_given_three_minutes(silence_s: float, is_there: bool) -> None:
    fleet = Fleet()
    fleet.record_push(a_push(*pool_points(used=3), sequence=None, interval_s=None), 100.0)
    assert bool(fleet.pools(100.0 + silence_s)) is is_there
    [state] = fleet.instances(100.0 + silence_s)
    assert state.interval_s == 60.0


def test_foreign_sender_may_send_its_metrics_in_parts() -> None:
    fleet = Fleet()
    used, *rest = pool_points(used=3, limit=15)
    fleet.record_push(a_push(used, sequence=None, interval_s=None), 100.0)
    fleet.record_push(a_push(*rest, sequence=None, interval_s=None), 101.0)
    numbers = fleet.pools(101.0)[a_pool()]
    assert (numbers.used, numbers.max) == (3, 15)
    fleet.record_push(a_push(*rest, sequence=None, interval_s=None), 281.0)
    assert fleet.pools(281.0)[a_pool()].used is None


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan"), float("inf"), 300.1, None])
def test_interval_beyond_belief_is_taken_as_not_told(interval_s: float | None) -> None:
    fleet = Fleet()
    fleet.record_push(a_push(interval_s=interval_s), 100.0)
    assert [state.interval_s for state in fleet.instances(100.0)] == [60.0]


@pytest.mark.parametrize("sequence", [1, 2])
def test_push_that_was_overtaken_is_left_out_whole(sequence: int) -> None:
    fleet = Fleet()
    fleet.record_push(a_push(a_point(value=9.0), sequence=2), 100.0)
    late = a_push(a_point(value=5.0), sequence=sequence, held=(holding(a_checkout()),))
    result = fleet.record_push(late, 101.0)
    assert (result.rejected_points, result.accepted) == (1, False)
    assert "out_of_order" in (result.reason or "")
    assert values(fleet, 101.0) == {"poolscope.checkouts": 9.0}
    assert fleet.held(101.0) == []
    assert fleet.refused == {"out_of_order": 1}
    assert fleet.instances(101.0)[0].last_push_age_s == 1.0


def test_push_that_comes_after_the_end_marker_does_not_revive_the_process() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(sequence=10, is_end=True), 100.0)
    fleet.record_push(a_push(*pool_points(), sequence=9), 100.5)
    assert fleet.pools(100.5) == {}


@pytest.mark.parametrize(
    ("sequence", "start_ns", "pid"), [(1, 2_000, "1"), (9, 2_000, "1"), (1, 1_000, "2")]
)
def test_process_that_starts_again_under_its_name_begins_anew(
    sequence: int, start_ns: int, pid: str
) -> None:
    fleet = Fleet()
    before = a_push(a_point(value=9.0), a_point(catalogue.CHECKINS), sequence=5, resource=CONTAINER)
    fleet.record_push(before, 100.0)
    after = a_push(
        a_point(value=1.0, start_ns=start_ns), sequence=sequence, resource={PROCESS_PID: pid}
    )
    result = fleet.record_push(after, 101.0)
    assert (result.restarted, result.accepted) == (True, True)
    assert values(fleet, 101.0) == {"poolscope.checkouts": 1.0}


def test_series_that_starts_later_is_no_restart() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(a_point(start_ns=1_000)), 100.0)
    later = a_point(catalogue.CHECKINS, start_ns=2_000)
    assert not fleet.record_push(
        a_push(a_point(start_ns=1_000), later, sequence=2), 105.0
    ).restarted


def test_delta_that_starts_where_the_last_one_ended_is_no_restart() -> None:
    fleet = Fleet()
    for sequence in (1, 2):
        point = a_point(is_delta=True, start_ns=1_000 * sequence)
        result = fleet.record_push(a_push(point, sequence=sequence), 100.0 + sequence)
    assert not result.restarted


def test_sequence_that_begins_anew_is_believed_after_silence() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(a_point(), sequence=50), 100.0)
    assert not fleet.record_push(a_push(a_point(), sequence=1), 115.0).accepted
    result = fleet.record_push(a_push(a_point(), sequence=2), 115.01)
    assert (result.accepted, result.restarted) == (True, True)


def test_list_of_a_pool_is_replaced_by_the_push_that_lists_it() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(held=(holding(a_checkout(1), a_checkout(2)),)), 100.0)
    fleet.record_push(a_push(sequence=2, held=(holding(a_checkout(2)),)), 105.0)
    assert held_ids(fleet, 105.0) == [2]
    fleet.record_push(a_push(sequence=3, held=(holding(pool=a_pool()),)), 110.0)
    assert held_ids(fleet, 110.0) == []


@pytest.mark.parametrize(("now_s", "is_there"), [(115.0, True), (115.01, False)])
def test_list_that_pushes_leave_out_holds_for_three_of_them(now_s: float, is_there: bool) -> None:
    fleet = Fleet()
    fleet.record_push(a_push(held=(holding(a_checkout()),)), 100.0)
    fleet.record_push(a_push(sequence=2), 105.0)
    fleet.record_push(a_push(sequence=3), 110.0)
    assert [reported.reported_at_s for reported in fleet.held(110.0)] == [100.0]
    assert bool(fleet.held(now_s)) is is_there


def test_checkout_ages_from_when_it_was_heard_and_keeps_when_it_was_first() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(held=(holding(a_checkout(age_s=2.0)),)), 100.0)
    fleet.record_push(a_push(sequence=2, held=(holding(a_checkout(age_s=7.0)),)), 105.0)
    [reported] = fleet.held(106.0)
    assert (reported.reported_at_s, reported.first_reported_at_s, reported.age_s(106.0)) == (
        105.0,
        100.0,
        8.0,
    )
    assert reported.age_s(0.0) == 0.0


def test_true_count_is_told_beside_what_is_listed() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(held=(holding(a_checkout(), held=700),)), 100.0)
    numbers = fleet.pools(100.0)[a_pool()]
    assert (numbers.held_total, numbers.listed_total) == (700, 1)


def test_list_is_bounded_per_process() -> None:
    fleet = Fleet()
    checkouts = [a_checkout(n) for n in range(MAX_HELD + 3)]
    result = fleet.record_push(a_push(held=(holding(*checkouts),)), 100.0)
    assert len(fleet.held(100.0)) == MAX_HELD
    assert fleet.refused == {"too_many_checkouts": 3}
    assert result.rejected_points == 3


def test_growth_is_known_over_the_window() -> None:
    fleet = Fleet()
    for sequence, total in enumerate((10.0, 11.0, 12.0, 15.0, 15.0), start=2):
        fleet.record_push(
            a_push(a_point(catalogue.TIMEOUTS, total), sequence=sequence), 100.0 + sequence
        )
    assert fleet.pools(106.0)[a_pool()].growth.timeouts == 5.0


def test_numbers_are_those_of_the_last_push_however_often_they_are_asked_for() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(*pool_points(used=3), held=(holding(a_checkout()),)), 100.0)
    fleet.record_push(a_push(*pool_points(used=3), sequence=2), 105.0)
    told = []
    for now_s in (105.0, 106.0, 115.0, 115.01, 120.01):
        numbers = fleet.pools(now_s).get(a_pool())
        told.append(numbers and (numbers.used, numbers.held_total))
    assert told == [(3, 1), (3, 1), (3, 1), (3, None), None]
    fleet.record_push(a_push(*pool_points(used=4), sequence=3), 121.0)
    assert fleet.pools(121.0)[a_pool()].used == 4
    fleet.record_push(a_push(*pool_points(used=5), sequence=4), 121.0)
    assert fleet.pools(121.0)[a_pool()].used == 5


@pytest.mark.parametrize(("sequence", "timeouts"), [(1, 10.0), (2, None), (None, None)])
def test_growth_after_a_single_push_is_known_of_a_process_that_just_began(
    sequence: int | None, timeouts: float | None
) -> None:
    fleet = Fleet()
    fleet.record_push(a_push(a_point(catalogue.TIMEOUTS, 10.0), sequence=sequence), 100.0)
    assert fleet.pools(100.0)[a_pool()].growth.timeouts == timeouts


def test_provider_that_pushes_here_too_leaves_the_list_and_the_numbers_alone() -> None:
    fleet = Fleet()
    ours = a_push(*pool_points(used=3), publisher=Publisher.PROVIDER, held=(holding(a_checkout()),))
    theirs = a_push(*pool_points(used=2), sequence=None, interval_s=None)
    fleet.record_push(theirs, 99.0)
    fleet.record_push(ours, 100.0)
    fleet.record_push(theirs, 101.0)
    assert len(list(fleet.series(101.0))) == len(pool_points())
    assert fleet.pools(101.0)[a_pool()].used == 3
    assert held_ids(fleet, 101.0) == [1]
    assert [state.interval_s for state in fleet.instances(101.0)] == [5.0]


def test_metric_that_changes_its_kind_is_kept_when_its_old_series_has_expired() -> None:
    fleet = Fleet()
    novelty = a_point()._replace(metric="db.client.connection.novelty")
    buckets = novelty._replace(
        kind=catalogue.Kind.HISTOGRAM, value=HistogramValue((), (1,), 1.0), is_delta=True
    )
    fleet.record_push(a_push(novelty), 100.0)
    early = fleet.record_push(a_push(buckets, sequence=2), 105.0)
    assert early.reason == "refused: 1 conflicting_kind"
    assert [point.kind for _, point in fleet.series(105.0)] == [catalogue.Kind.COUNTER]

    late_s = 101.0 + COUNTER_RETENTION_S
    fleet.record_push(a_push(buckets, sequence=3), late_s)
    fleet.record_push(a_push(buckets, sequence=4), late_s)
    kinds = [(p.kind, isinstance(p.value, HistogramValue)) for _, p in fleet.series(late_s)]
    assert kinds == [(catalogue.Kind.HISTOGRAM, True)]


def points_of(*pool_names: str) -> list[Point]:
    return [a_point(pool=a_pool(name=name)) for name in pool_names]


def test_pools_of_a_process_are_bounded() -> None:
    fleet = Fleet(max_pools_per_instance=2)
    process = a_point(catalogue.HOOK_ERRORS)
    lists = tuple(holding(pool=a_pool(name=name)) for name in "abc")
    result = fleet.record_push(a_push(process, *points_of("a", "b", "c", "c"), held=lists), 100.0)
    assert result.rejected_points == 3
    assert sorted(pool.name for pool in fleet.pools(100.0)) == ["a", "b"]
    assert fleet.refused == {Refusal.TOO_MANY_POOLS: 3}


def test_pool_that_went_makes_room() -> None:
    fleet = Fleet(max_pools_per_instance=1)
    fleet.record_push(a_push(*pool_points(a_pool(name="a"))), 100.0)
    fleet.record_push(a_push(sequence=2), 105.0)
    assert (
        fleet.record_push(a_push(*pool_points(a_pool(name="b")), sequence=3), 110.0).reason is None
    )


def test_series_of_a_pool_are_bounded() -> None:
    fleet = Fleet(max_series_per_pool=2)
    leaks = [
        a_point(catalogue.LEAKS, attributes={catalogue.CALL_SITE: f"a.py:{n}"}) for n in range(3)
    ]
    result = fleet.record_push(a_push(*leaks), 100.0)
    assert (result.rejected_points, result.reason) == (1, "refused: 1 too_many_series")
    again = fleet.record_push(a_push(*leaks[:2], sequence=2), 105.0)
    assert again.rejected_points == 0


def test_instances_are_bounded_and_live_ones_are_never_given_up() -> None:
    fleet = Fleet(max_instances=1)
    fleet.record_push(a_push(), 100.0)
    second = a_push(a_point(), instance=an_instance("shop-2"))
    refused = fleet.record_push(second, 115.0)
    assert (refused.rejected_points, refused.accepted) == (1, False)
    assert refused.reason == "refused: 1 too_many_instances"
    assert fleet.refused == {"too_many_instances": 1}
    assert fleet.record_push(second, 116.0).accepted
    assert [state.instance.id for state in fleet.instances(116.0)] == ["shop-2"]


def test_new_instance_takes_the_place_of_the_one_that_is_gone_for_longest() -> None:
    fleet = Fleet(max_instances=3)
    ends = {"a": 102.0, "b": 101.0, "c": None, "d": 103.0, "e": None, "f": None}
    left = {"d": "ac", "e": "cd", "f": "ce"}
    for name, ended_at_s in ends.items():
        assert fleet.record_push(a_push(instance=an_instance(name)), 100.0).accepted
        if name in left:
            others = {state.instance.id for state in fleet.instances(103.0)} - {name}
            assert others == set(left[name])
        if ended_at_s:
            fleet.record_push(
                a_push(instance=an_instance(name), sequence=2, is_end=True), ended_at_s
            )
    assert not fleet.refused
    assert not fleet.record_push(a_push(instance=an_instance("g")), 104.0).accepted


def test_refused_points_are_counted_and_told() -> None:
    fleet = Fleet()
    unknown = Point("http.requests", catalogue.Kind.COUNTER, "", {}, 1.0)
    result = fleet.record_push(a_push(unknown, a_point(), a_point(value=float("nan"))), 100.0)
    assert result.rejected_points == 2
    assert result.reason == "refused: 1 unknown_metric, 1 bad_value"
    assert fleet.refused == {"unknown_metric": 1, "bad_value": 1}


def test_processes_are_kept_apart() -> None:
    fleet = Fleet()
    other: Instance = an_instance("shop-2")
    fleet.record_push(a_push(a_point(value=1.0), held=(holding(a_checkout()),)), 100.0)
    pool = a_pool(other)
    second = a_push(a_point(value=2.0), instance=other, held=(holding(a_checkout(pool=pool)),))
    fleet.record_push(second, 100.0)
    assert len(list(fleet.series(100.0))) == 2
    assert [h.checkout.pool for h in fleet.held_by(other, 100.0)] == [pool]
    assert fleet.held_by(an_instance("shop-3"), 100.0) == []


@pytest.mark.parametrize("name", ["__name__", "__x", "..x", ""])
def test_an_attribute_that_would_spoil_the_exposition_is_left_out(name: str) -> None:
    fleet = Fleet()
    known = a_point()
    novel = known._replace(
        metric="db.client.connection.novel", attributes={**known.attributes, name: "x"}
    )
    fleet.record_push(a_push(novel), 100.0)
    [(_, point)] = fleet.series(100.0)
    assert set(point.attributes) == set(catalogue.POOL_IDENTITY)


def test_where_all_are_live_room_is_looked_for_once_a_second_and_after_each_good_bye() -> None:
    fleet = Fleet(max_instances=1)
    fleet.record_push(a_push(), 100.0)
    newcomer = a_push(instance=an_instance("newcomer"))
    assert not fleet.record_push(newcomer, 100.0).accepted
    fleet.record_push(a_push(sequence=2, is_end=True), 100.1)
    assert fleet.record_push(newcomer, 100.2).accepted


def test_a_process_that_fell_silent_makes_room_within_a_second() -> None:
    fleet = Fleet(max_instances=1)
    fleet.record_push(a_push(), 100.0)
    newcomer = a_push(instance=an_instance("newcomer"))
    assert not fleet.record_push(newcomer, 115.0).accepted
    assert not fleet.record_push(newcomer, 115.9).accepted
    assert fleet.record_push(newcomer, 116.0).accepted


def test_each_push_says_anew_how_many_pools_a_line_made() -> None:
    fleet, made = Fleet(max_pools_per_instance=1), PoolsMade("shop/db.py:14", 12)
    push = replace(a_push(*pool_points()), pools_made={a_pool(): made})
    fleet.record_push(push, 100.0)
    assert fleet.pools(100.0)[a_pool()].made == made
    fleet.record_push(replace(push, sequence=2, pools_made={}), 105.0)
    assert fleet.pools(105.0)[a_pool()].made is None


def test_no_more_lines_are_kept_of_a_process_than_it_may_have_pools() -> None:
    fleet, made = Fleet(max_pools_per_instance=1), PoolsMade("shop/db.py:14", 12)
    several = {a_pool(name=name): made for name in ("other", "orders")}
    push = replace(a_push(*pool_points()), pools_made=several)
    fleet.record_push(push, 100.0)
    assert [numbers.made for numbers in fleet.pools(100.0).values()] == [None]


def test_a_pool_that_is_gone_has_no_numbers_and_keeps_its_counters() -> None:
    """So it takes no part in diagnoses, checks, the sum of all pools, and pages."""
    fleet, checkins = Fleet(), a_point(catalogue.CHECKINS, 7.0)
    living = replace(
        a_push(*pool_points(), checkins), generations={a_pool(): PoolGeneration(2, call_site="a:1")}
    )
    fleet.record_push(living, 100.0)
    assert fleet.pools(100.0)[a_pool()].generation == PoolGeneration(2, call_site="a:1")
    ended = {a_pool(): PoolGeneration(2, is_gone=True)}
    fleet.record_push(replace(living, points=(checkins,), sequence=2, generations=ended), 105.0)
    assert fleet.pools(105.0) == {}
    assert [point.metric for _, point in fleet.series(105.0)] == [catalogue.CHECKINS.name]
    fleet.record_push(replace(living, sequence=3), 110.0)
    assert a_pool() in fleet.pools(110.0)


def test_a_partial_push_leaves_what_it_leaves_out_and_changes_the_rest() -> None:
    fleet, limit = Fleet(), a_point(catalogue.MAX, 15)
    checkins = a_point(catalogue.CHECKINS, 7.0)
    fleet.record_push(a_push(*pool_points(used=3), limit, checkins), 100.0)
    fleet.record_push(a_push(*pool_points(used=15)[:2], sequence=2, is_partial=True), 101.0)
    numbers = fleet.pools(101.0)[a_pool()]
    assert (numbers.used, numbers.max) == (15, 15)
    assert numbers.growth.of(catalogue.CHECKINS) == 7.0
    fleet.record_push(a_push(*pool_points(used=4)[:2], sequence=3), 105.0)
    assert fleet.pools(105.0)[a_pool()].max is None


def test_a_process_that_only_pushes_partially_is_alive() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(*pool_points(used=3)), 100.0)
    for sequence in range(2, 40):
        push = a_push(*pool_points(used=3)[:2], sequence=sequence, is_partial=True)
        assert fleet.record_push(push, 98.0 + sequence).accepted
    assert fleet.pools(137.0)[a_pool()].max == 15

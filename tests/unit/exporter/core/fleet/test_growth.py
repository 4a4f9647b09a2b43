"""Counters grow over a window: from the last push before it to the newest one."""

import pytest

from poolscope import catalogue
from poolscope.catalogue import EFFECTS, ConnectErrorKind, Effect, Evidence
from poolscope_exporter.core.fleet.growth import (
    COUNT,
    MAX_MARKS,
    SUM,
    UNKNOWN_GROWTH,
    WINDOW_S,
    CounterHistory,
    Growth,
    GrowthHistory,
    Marks,
    marks_of,
)
from poolscope_exporter.core.model.pushes import HistogramValue
from support.exporter.builders import a_point, a_pool

TIMEOUTS = (catalogue.TIMEOUTS.name, "")


def grown(*totals: float | None, every_s: float = 5.0) -> Growth:
    history = CounterHistory()
    for number, total in enumerate(totals):
        marks: Marks = {} if total is None else {TIMEOUTS: total}
        history.record_marks(marks, 100.0 + number * every_s)
    return history.growth()


def test_growth_of_a_single_push_is_unknown() -> None:
    assert grown() == grown(5.0) == Growth()


@pytest.mark.parametrize(
    ("totals", "timeouts"),
    [
        ((5.0, 5.0), 0.0),
        ((5.0, 6.0, 8.0), 3.0),
        ((None, 2.0), 2.0),
        ((9.0, 1.0), 1.0),
        ((9.0, None), None),
    ],
)
def test_growth_is_from_the_first_to_the_last_push(
    totals: tuple[float | None, ...], timeouts: float | None
) -> None:
    assert grown(*totals).timeouts == timeouts


@pytest.mark.parametrize("every_s", [1.0, 5.0, 10.0])
def test_growth_ends_when_it_is_older_than_the_window(every_s: float) -> None:
    quiet = int(WINDOW_S / every_s)
    assert grown(0.0, 4.0, *[4.0] * (quiet - 1), every_s=every_s).timeouts == 4.0
    assert grown(0.0, 4.0, *[4.0] * quiet, every_s=every_s).timeouts == 0.0


@pytest.mark.parametrize(("every_s", "span_s"), [(5.0, 15.0), (60.0, 60.0)])
def test_growth_has_the_time_that_it_covers(every_s: float, span_s: float) -> None:
    assert grown(1.0, 3.0, 8.0, 9.0, every_s=every_s).span_s == span_s


def test_pushes_rarer_than_the_window_still_show_growth() -> None:
    assert grown(1.0, 3.0, 8.0, every_s=60.0).timeouts == 5.0


def test_history_is_bounded_and_keeps_its_base_and_the_newest_push() -> None:
    totals = [float(number) for number in range(10 * MAX_MARKS)]
    assert grown(*totals, every_s=0.01).timeouts == totals[-1]


def test_leaks_are_added_up_over_routes_by_evidence() -> None:
    points = [
        a_point(
            catalogue.LEAKS,
            2.0,
            attributes={
                catalogue.EVIDENCE: Evidence.REQUEST_FINISHED.value,
                catalogue.HTTP_ROUTE: route,
            },
        )
        for route in ("/a", "/b")
    ]
    assert marks_of(points) == {(catalogue.LEAKS.name, Evidence.REQUEST_FINISHED.value): 4.0}


def test_durations_have_a_mean_of_what_ended_in_the_window() -> None:
    history = CounterHistory()
    for at_s, ended, sum_s in ((100.0, 0, 0.9), (105.0, 2, 6.9)):
        value = HistogramValue((1.0,), (9, ended), sum_s)
        history.record_marks(marks_of([a_point(catalogue.USE_TIME, value)]), at_s)
    assert history.growth().mean_s(catalogue.USE_TIME) == pytest.approx(3.0)


def test_durations_of_which_none_ended_have_no_mean() -> None:
    name = catalogue.USE_TIME.name
    assert Growth().mean_s(catalogue.USE_TIME) is None
    assert Growth({(name, COUNT): 0.0, (name, SUM): 0.0}).mean_s(catalogue.USE_TIME) is None


def test_time_outs_of_a_sender_that_counts_them_as_failures_are_found() -> None:
    assert Growth({(catalogue.CHECKOUT_FAILURES.name, "timeout"): 3.0}).timeouts == 3.0


def test_every_counter_that_hurts_is_marked_and_no_other() -> None:
    points = [
        a_point(metric, 1.0, attributes={catalogue.BY_VALUE[metric]: value} if value else {})
        for metric, effects in EFFECTS.items()
        for value in effects
    ]
    history = CounterHistory()
    history.record_marks({}, 100.0)
    history.record_marks(marks_of(points), 105.0)
    expected = {
        (metric.name, str(value))
        for metric, effects in EFFECTS.items()
        for value, effect in effects.items()
        if effect is Effect.HURTS
    }
    assert set(history.growth().hurting) == expected


def test_refusals_for_too_many_connections_are_told_from_other_errors() -> None:
    grown_by_kind = {
        (catalogue.CONNECT_ERRORS.name, kind.value): float(number)
        for number, kind in enumerate(ConnectErrorKind, start=1)
    }
    expected = list(ConnectErrorKind).index(ConnectErrorKind.TOO_MANY_CONNECTIONS) + 1
    assert Growth(grown_by_kind).too_many_connections == expected


def test_growth_of_a_pool_that_a_push_leaves_out_begins_again() -> None:
    history = GrowthHistory()
    for at_s, points in ((100.0, {a_pool(): [a_point(catalogue.TIMEOUTS, 1.0)]}), (105.0, {})):
        history.record_counters(points, at_s)
    history.record_counters({a_pool(): [a_point(catalogue.TIMEOUTS, 9.0)]}, 110.0)
    assert history.pool_growth(a_pool()) == UNKNOWN_GROWTH


def test_growth_tells_when_callers_were_hurt_last() -> None:
    history = CounterHistory()
    told = []
    for at_s, timeouts in ((100.0, 0.0), (105.0, 2.0), (110.0, 2.0), (115.0, 1.0)):
        marks = {TIMEOUTS: timeouts, (catalogue.CHECKINS.name, ""): at_s}
        history.record_marks(marks, at_s)
        told.append(history.growth().hurt_at_s)
    assert told == [None, 105.0, 105.0, 115.0]


@pytest.mark.parametrize(
    ("is_first", "is_complete", "pools", "timeouts"),
    [
        (True, True, 1, 7.0),
        (False, True, 1, None),
        (False, True, 2, 7.0),
        (False, False, 2, None),
        (True, False, 1, None),
    ],
)
def test_a_pool_that_a_complete_push_brings_up_counts_from_zero(
    is_first: bool, is_complete: bool, pools: int, timeouts: float | None
) -> None:
    old, new = a_pool(name="old"), a_pool(name="new")
    history = GrowthHistory()
    if pools > 1:
        point = a_point(catalogue.TIMEOUTS, 3.0, pool=old)
        history.record_counters({old: [point]}, 100.0, is_complete=is_complete)
    points = {new: [a_point(catalogue.TIMEOUTS, 7.0, pool=new)]}
    history.record_counters(points, 105.0, is_complete=is_complete, is_first=is_first)
    assert history.pool_growth(new).timeouts == timeouts


def test_a_process_that_was_forgotten_counts_from_no_base() -> None:
    history, pool = GrowthHistory(), a_pool()
    history.record_counters({}, 100.0, is_complete=True, is_first=True)
    history.forget_counters()
    points = {pool: [a_point(catalogue.TIMEOUTS, 7.0, pool=pool)]}
    history.record_counters(points, 105.0, is_complete=True)
    assert history.pool_growth(pool) == Growth()

"""Points of senders that do not number their pushes: late, twice, or from elsewhere."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.series import LATEST_NS
from poolscope_exporter.core.model.pushes import HistogramValue, Point
from support.exporter.builders import a_point, a_push

MINUTE_NS = 60 * 10**9
STARTED_NS = 10**18


def a_total(value: float, minute: float, *, started_ns: int = STARTED_NS) -> Point:
    time_ns = STARTED_NS + int(minute * MINUTE_NS)
    return a_point(value=value)._replace(start_ns=started_ns, time_ns=time_ns)


def an_interval(value: float, begin: float, end: float) -> Point:
    begun_ns = STARTED_NS + int(begin * MINUTE_NS)
    return a_total(value, end, started_ns=begun_ns)._replace(is_delta=True)


def hear(*points: Point) -> tuple[float | HistogramValue, list[str | None]]:
    """Return where the counter stands after these pushes, and what was refused of each."""
    fleet = Fleet()
    answers = [
        fleet.record_push(a_push(point, sequence=None), 100.0 + at)
        for at, point in enumerate(points)
    ]
    [(_, kept)] = fleet.series(100.0 + len(points))
    return kept.value, [answer.reason for answer in answers]


def test_a_cumulative_point_that_comes_late_is_refused() -> None:
    assert hear(a_total(7, 2), a_total(5, 1)) == (7.0, [None, "refused: 1 out_of_order"])


def test_a_cumulative_point_that_comes_twice_is_refused() -> None:
    assert hear(a_total(7, 2), a_total(7, 2)) == (7.0, [None, "refused: 1 duplicate"])


def test_a_delta_that_is_sent_again_is_counted_once() -> None:
    found = hear(an_interval(3, 0, 1), an_interval(3, 0, 1), an_interval(4, 1, 2))

    assert found == (7.0, [None, "refused: 1 duplicate", None])


def test_a_delta_that_comes_after_a_later_one_is_refused() -> None:
    found = hear(an_interval(3, 0, 1), an_interval(4, 2, 3), an_interval(5, 1, 2))

    assert found == (7.0, [None, None, "refused: 1 out_of_order"])


def test_a_restart_resets_a_cumulative_counter_as_prometheus_expects() -> None:
    restarted = a_total(2, 3, started_ns=STARTED_NS + MINUTE_NS)

    assert hear(a_total(7, 2), restarted) == (2.0, [None, None])


def test_after_a_restart_the_last_word_of_the_process_before_is_late() -> None:
    restarted = a_total(2, 3, started_ns=STARTED_NS + MINUTE_NS)
    found = hear(a_total(7, 2), restarted, a_total(8, 2.5))

    assert found == (2.0, [None, None, "refused: 1 out_of_order"])


def test_after_a_restart_deltas_go_on_from_where_they_were() -> None:
    assert hear(an_interval(3, 0, 1), an_interval(4, 2, 3)) == (7.0, [None, None])


def test_two_processes_under_one_name_are_told_apart_by_when_their_series_began() -> None:
    younger = a_total(2, 2, started_ns=STARTED_NS + MINUTE_NS)
    found = hear(a_total(7, 1.9), younger, a_total(8, 2.9))

    assert found == (2.0, [None, None, "refused: 1 shared_instance"])


def test_two_processes_under_one_name_are_told_apart_by_intervals_that_overlap() -> None:
    found = hear(an_interval(3, 0, 1), an_interval(9, 0.5, 1.5), an_interval(4, 1, 2))

    assert found == (7.0, [None, "refused: 1 shared_instance", None])


@pytest.mark.parametrize(("back_ns", "is_kept"), [(LATEST_NS, False), (LATEST_NS + 1, True)])
def test_a_clock_that_was_set_back_is_believed_where_no_retry_is_so_late(
    back_ns: int, is_kept: bool
) -> None:
    now = a_total(7, 10)
    value, _ = hear(now, now._replace(value=8.0, time_ns=now.time_ns - back_ns))

    assert value == (8.0 if is_kept else 7.0)


def test_a_gauge_may_say_anything_of_when_it_began() -> None:
    gauge = a_point(catalogue.POOL_SIZE, 5.0)
    first = gauge._replace(start_ns=2, time_ns=STARTED_NS)
    found = hear(first, gauge._replace(value=6.0, start_ns=1, time_ns=STARTED_NS + 1))

    assert found == (6.0, [None, None])


def test_two_points_that_fall_together_are_not_told_as_one() -> None:
    fleet = Fleet()
    result = fleet.record_push(a_push(a_total(3, 1), a_total(4, 1), sequence=None), 100.0)

    assert result.reason == "refused: 1 duplicate"
    assert fleet.refused == {Refusal.DUPLICATE: 1}


def test_a_sum_that_no_number_can_hold_is_refused() -> None:
    found = hear(an_interval(1e308, 0, 1), an_interval(1e308, 1, 2))

    assert found == (1e308, [None, "refused: 1 bad_value"])

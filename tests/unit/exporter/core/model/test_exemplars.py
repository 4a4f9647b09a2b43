"""One exemplar for each bucket, the newest, over all that was received of a series."""

from poolscope_exporter.core.model.exemplars import MAX_EXEMPLARS, Exemplar, latest_by_bucket
from poolscope_exporter.core.model.pushes import HistogramValue, add_values, continued_value

BOUNDS = (0.1, 1.0)


def an_exemplar(value: float, time_ns: int = 1, trace: int = 1) -> Exemplar:
    return Exemplar(value, time_ns, trace.to_bytes(16), bytes(8))


def a_value(*exemplars: Exemplar, bounds: tuple[float, ...] = BOUNDS) -> HistogramValue:
    return HistogramValue(bounds, (0,) * (len(bounds) + 1), 0.0, exemplars)


def test_the_newest_exemplar_of_a_bucket_stays() -> None:
    old, new, other = an_exemplar(0.5, 1), an_exemplar(0.7, 2), an_exemplar(3.0, 1)
    assert latest_by_bucket(BOUNDS, [new, old, other]) == (new, other)


def test_a_value_on_a_bound_is_in_the_bucket_of_that_bound() -> None:
    on, above = an_exemplar(0.1), an_exemplar(0.11)
    assert latest_by_bucket(BOUNDS, [on, above]) == (on, above)
    assert len(latest_by_bucket(BOUNDS, [an_exemplar(0.1), an_exemplar(0.05, 2)])) == 1


def test_exemplars_are_bounded_and_the_slowest_stay() -> None:
    bounds = tuple(float(each) for each in range(199))
    exemplars = [an_exemplar(each + 0.5, 199 - each) for each in range(199)]
    kept = latest_by_bucket(bounds, exemplars)
    assert kept == tuple(exemplars[-MAX_EXEMPLARS:])


def test_a_cumulative_series_keeps_an_exemplar_that_is_sent_only_once() -> None:
    first, second = an_exemplar(0.5, 1), an_exemplar(3.0, 2)
    assert continued_value(a_value(first), a_value()) == a_value(first)
    assert continued_value(a_value(first), a_value(second)) == a_value(first, second)


def test_exemplars_end_with_the_bounds_they_were_sorted_by() -> None:
    now = a_value(bounds=(5.0,))
    assert continued_value(a_value(an_exemplar(0.5)), now) is now


def test_series_that_are_added_share_their_exemplars() -> None:
    one, other = a_value(an_exemplar(0.5)), a_value(an_exemplar(3.0))
    assert add_values(one, other) == a_value(*one.exemplars, *other.exemplars)
    assert add_values(a_value(), one) == one

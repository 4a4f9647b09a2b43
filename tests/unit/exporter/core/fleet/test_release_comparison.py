"""The newest release of each pool is compared with the one before it, if both have the data."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.fleet.service_totals.release_comparison import (
    MIN_CALLERS,
    compare_newest,
    has_enough,
)
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from support.exporter.builders import a_pool
from support.exporter.releases import a_release


def test_the_newest_release_is_compared_with_the_one_before_it() -> None:
    releases = [a_release(f"{n}.0", first_seen_age_s=100.0 * n) for n in (3, 1, 2)]
    (found,) = compare_newest(releases)

    assert found.before is not None
    assert (found.after.key.version, found.before.key.version, found.others) == ("1.0", "2.0", 1)


def test_a_withdrawn_release_with_few_callers_is_no_measure_for_the_next_one() -> None:
    after, canary, stable = (
        a_release("2.1", first_seen_age_s=10.0),
        a_release("2.0", first_seen_age_s=20.0, checkouts=MIN_CALLERS - 1),
        a_release("1.9", first_seen_age_s=30.0),
    )
    (found,) = compare_newest([after, canary, stable])
    (alone,) = compare_newest([after, canary])

    assert found.before == stable
    assert alone.before == canary


def test_one_release_has_nothing_before_it() -> None:
    (found,) = compare_newest([a_release()])

    assert (found.before, found.others) == (None, 0)


def test_pools_on_other_servers_are_compared_apart_the_newest_first() -> None:
    other = service_pool_of(a_pool(server_address="10.0.0.2"))
    newer = a_release(pool=other, first_seen_age_s=5.0)
    found = compare_newest([a_release(), newer])

    assert [each.after.key.pool for each in found] == [other, service_pool_of(a_pool())]


@pytest.mark.parametrize(
    ("callers", "expected"),
    [(MIN_CALLERS - 1, False), (MIN_CALLERS, True), (MIN_CALLERS + 1, True)],
)
def test_a_release_needs_enough_callers(callers: int, *, expected: bool) -> None:
    assert has_enough(a_release(checkouts=callers)) is expected


def test_callers_that_failed_count_as_callers() -> None:
    failing = a_release(checkouts=0, timeouts=MIN_CALLERS - 1, failures=1)

    assert failing.callers == MIN_CALLERS
    assert has_enough(failing)


def test_an_unknown_number_of_callers_is_not_enough() -> None:
    unknown = a_release(checkouts=None, timeouts=5_000)

    assert unknown.callers is None
    assert not has_enough(unknown)
    assert has_enough(replace(unknown, checkouts=1))

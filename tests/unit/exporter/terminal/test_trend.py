"""The last minute of a pool is drawn from the answers that were read, and gaps stay gaps."""

import pytest

from poolscope_exporter.core.judging.overview.service_pools import PoolSums
from poolscope_exporter.terminal.trend import PoolTrends, draw_line


def sums(used: int | None, limit: int | None = 10) -> PoolSums:
    return PoolSums(used, 0, 0, limit, 0, 0.0)


def test_each_character_is_the_highest_use_of_five_seconds() -> None:
    trends = PoolTrends()
    for at_s, used in ((0.0, 10), (1.0, 2), (56.0, 5)):
        trends.add_sums({"a": sums(used)}, at_s)
    assert trends.trend_line("a", 59.0) == "█" + "·" * 10 + "▅"


def test_samples_of_more_than_a_minute_ago_are_dropped() -> None:
    trends = PoolTrends()
    trends.add_sums({"a": sums(10)}, 0.0)
    trends.add_sums({"b": sums(0)}, 60.0)
    assert trends.trend_line("a", 60.0) == "·" * 12
    assert trends._samples.keys() == {"b"}


@pytest.mark.parametrize("unknown", [sums(None), sums(3, None), sums(3, 0)])
def test_an_unknown_use_is_a_gap_and_not_an_empty_pool(unknown: PoolSums) -> None:
    trends = PoolTrends()
    trends.add_sums({"a": unknown}, 0.0)
    assert trends.trend_line("a", 0.0) == "·" * 12


def test_a_longer_interval_has_fewer_and_wider_characters() -> None:
    trends = PoolTrends(slot_s=20.0)
    for at_s in (0.0, 20.0, 40.0):
        trends.add_sums({"a": sums(10)}, at_s)
    assert trends.trend_line("a", 40.0) == "███"


def test_the_lowest_bar_is_an_empty_pool_and_more_than_full_is_full() -> None:
    assert draw_line([0.0, 1.0, 1.5, None]) == "▁██·"

"""The pools that one line made count while they live, and for a while after they were made."""

import gc
import sys

import pytest

from poolscope import catalogue
from poolscope.pushing.creation_counts import creation_samples
from poolscope.recording.callsite import UNKNOWN_SITE, Site, find_site
from poolscope.recording.pool import PoolIdentity, PoolStats
from poolscope.recording.pool_rows.creation_lines import MADE_LIMIT, RECENT_S, CreationLines
from poolscope.recording.pool_rows.row import WatchedPool
from support.applications.still_pool import StillPool

SHOP, OTHER = PoolIdentity("shop", "shop", "db", 5432), PoolIdentity("other", "other", "db", 5432)


class Owner:
    """What a pool lives as long as."""


def a_row(given: PoolIdentity) -> WatchedPool:
    return WatchedPool(PoolStats(given, StillPool()), Owner)


@pytest.fixture
def lines() -> CreationLines:
    return CreationLines()


def this_line() -> Site:
    return find_site(sys._getframe(1))


def test_pools_of_one_name_and_line_are_counted_together(lines: CreationLines) -> None:
    owners = [Owner() for _ in range(5)]
    first = this_line()
    second = this_line()
    for owner, identity, site in zip(
        owners, [SHOP, SHOP, SHOP, OTHER, SHOP], [first, first, first, first, second], strict=True
    ):
        lines.note_made(owner, identity, site, 0.0)
    expected = {(SHOP, first.label): 3, (OTHER, first.label): 1, (SHOP, second.label): 1}
    assert lines.count_made(0.0) == expected
    assert lines.count_made(RECENT_S + 1) == expected  # they live


@pytest.mark.parametrize(("later_s", "count"), [(RECENT_S, 2), (RECENT_S + 0.1, 1)])
def test_a_pool_that_is_gone_counts_for_a_while(
    lines: CreationLines, later_s: float, count: int
) -> None:
    site, kept, gone = this_line(), Owner(), Owner()
    lines.note_made(kept, SHOP, site, 0.0)
    lines.note_made(gone, SHOP, site, 0.0)
    del gone
    gc.collect()
    assert lines.count_made(later_s) == {(SHOP, site.label): count}


def test_a_pool_that_is_made_anew_now_and_then_is_one(lines: CreationLines) -> None:
    """As where a password expires: the pools of the past are no finding for ever."""
    site = this_line()
    for turn in range(20):
        owner = Owner()
        lines.note_made(owner, SHOP, site, turn * 2 * RECENT_S)
        assert lines.count_made(turn * 2 * RECENT_S) == {(SHOP, site.label): 1}


def test_a_pool_that_no_line_of_the_application_made_is_not_counted(lines: CreationLines) -> None:
    lines.note_made(Owner(), SHOP, UNKNOWN_SITE, 0.0)
    assert lines.count_made(0.0) == {}


def test_no_more_than_so_many_pools_are_remembered(lines: CreationLines) -> None:
    site = this_line()
    for _ in range(MADE_LIMIT + 5):
        lines.note_made(Owner(), SHOP, site, 0.0)
    assert lines.count_made(0.0) == {(SHOP, site.label): MADE_LIMIT}


def test_a_forked_child_has_made_none(lines: CreationLines) -> None:
    owner = Owner()
    lines.note_made(owner, SHOP, this_line(), 0.0)
    lines.forget_made()
    assert lines.count_made(0.0) == {}


def test_the_first_pool_of_a_name_stands_for_all_with_the_worst_line() -> None:
    second = PoolIdentity("shop-2", "shop", "db", 5432)
    made = {(SHOP, "a.py:1"): 2, (SHOP, "b.py:2"): 9, (OTHER, "a.py:1"): 1}
    rows = [(SHOP, a_row(SHOP)), (second, a_row(SHOP)), (OTHER, a_row(OTHER))]
    samples = list(creation_samples(rows, made))
    assert {sample.metric for sample in samples} == {catalogue.POOLS_MADE}
    told = [
        (s.attributes[catalogue.POOL_NAME], s.attributes[catalogue.CALL_SITE], s.value)
        for s in samples
    ]
    assert told == [("shop", "b.py:2", 9), ("other", "a.py:1", 1)]


def test_a_pool_that_is_gone_stands_for_no_other() -> None:
    second = PoolIdentity("shop-2", "shop", "db", 5432)
    gone = a_row(SHOP)
    gone.is_gone = True
    [sample] = creation_samples([(SHOP, gone), (second, a_row(SHOP))], {(SHOP, "a.py:1"): 2})
    assert sample.attributes[catalogue.POOL_NAME] == "shop-2"


def test_pools_whose_making_was_not_seen_say_nothing() -> None:
    assert list(creation_samples([(SHOP, a_row(SHOP))], {})) == []

"""A push tells which checkouts ended that an earlier push listed, and when."""

from typing import Any

from poolscope import catalogue
from poolscope.pushing.ended_checkouts import EndedCheckouts
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.pool import LONG_USE_S, LONG_USES_LIMIT, PoolIdentity, PoolStats, Slot
from poolscope.recording.tasks import this_thread

NO_READER: Any = None


def a_pool() -> PoolStats:
    return PoolStats(PoolIdentity("orders"), NO_READER)


def end(stats: PoolStats, checkout_id: int, taken_at_s: float, ended_at_s: float) -> None:
    slot = Slot(stats)
    slot.out = checkout_id, taken_at_s, UNKNOWN_SITE, None, this_thread.owner, None, lambda: stats
    stats.end(slot, ended_at_s)


def told(ended: EndedCheckouts, stats: PoolStats, *listed: int) -> dict[int, float]:
    """Return what a push at 100 s tells, by the id of the checkout."""
    samples = list(ended.ended_samples([stats], frozenset(listed), 100.0))
    assert {each.metric for each in samples} <= {catalogue.CHECKOUT_ENDED}
    return {int(each.attributes[catalogue.CHECKOUT_ID]): each.value for each in samples}  # type: ignore[misc, arg-type]


def test_only_checkouts_that_a_push_listed_are_told_to_have_ended() -> None:
    ended, stats = EndedCheckouts(), a_pool()
    assert told(ended, stats, 1, 2) == {}
    end(stats, 1, 95.0, 98.0)
    end(stats, 3, 95.0, 98.0)
    assert told(ended, stats, 2) == {1: 2.0}
    assert told(ended, stats, 2) == {}


def test_a_checkout_that_ends_while_the_push_is_made_is_told_at_once() -> None:
    ended, stats = EndedCheckouts(), a_pool()
    end(stats, 1, 95.0, 99.5)
    assert told(ended, stats, 1) == {1: 0.5}


def test_short_uses_are_not_followed_and_long_ones_are_bounded() -> None:
    stats = a_pool()
    end(stats, 1, 95.0, 95.0 + LONG_USE_S / 2)
    stats.count()
    assert not stats.long_uses
    for checkout_id in range(LONG_USES_LIMIT + 5):
        end(stats, checkout_id, 95.0, 96.0)
    stats.count()
    assert len(stats.long_uses) == LONG_USES_LIMIT


def test_a_forked_child_tells_nothing_of_its_parents_checkouts() -> None:
    stats = a_pool()
    end(stats, 1, 95.0, 98.0)
    stats.count()
    stats.reset()
    assert not stats.long_uses

"""A push lists the inherited connections that this process took, with socket and line, bounded."""

from typing import Any

from poolscope import catalogue
from poolscope.adapters.common.inherited_slots import mark_inherited
from poolscope.pushing.inherited_connections import LISTED_FOR_S, MAX_LISTED, inherited_samples
from poolscope.pushing.samples import Sample
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.drivers import ConnectionFacts
from poolscope.recording.pool import PoolIdentity, PoolStats, Slot
from poolscope.recording.tasks import this_thread

NO_READER: Any = None
ORDERS = PoolIdentity("orders")
TAKEN_AT_S = 100.0


def a_child_with(connections: int) -> tuple[PoolStats, list[Slot]]:
    """Return the pool of a forked child, with so many connections of its parent."""
    stats = PoolStats(ORDERS, NO_READER)
    for number in range(connections):
        slot = stats.slots[number] = Slot(stats)
        slot.begin_session(ConnectionFacts(4711 + number, ("10.0.0.7", 50_000 + number)))
    slots = list(stats.slots.values())
    mark_inherited(slots)
    return stats, slots


def take(slot: Slot, checkout_id: int = 1) -> None:
    alive = lambda: slot  # noqa: E731 - a name for what the tuple has
    slot.out = (checkout_id, TAKEN_AT_S, UNKNOWN_SITE, None, this_thread.owner, None, alive)


def listed(stats: PoolStats, now_s: float = TAKEN_AT_S + 2) -> list[Sample]:
    return list(inherited_samples([(ORDERS, stats)], now_s))


def test_what_the_child_did_not_take_is_not_listed() -> None:
    stats, _ = a_child_with(3)
    assert listed(stats) == []


def test_a_connection_that_is_out_has_0_and_one_that_is_back_its_age() -> None:
    stats, [slot] = a_child_with(1)
    take(slot)
    [sample] = listed(stats)
    assert (sample.value, sample.attributes[catalogue.BACKEND_PID]) == (0.0, 4711)
    assert sample.attributes[catalogue.LOCAL_PORT] == 50_000
    slot.out = None
    assert [sample.value for sample in listed(stats)] == [2.0]


def test_a_connection_that_broke_at_its_first_use_is_listed_for_a_while() -> None:
    stats, [slot] = a_child_with(1)
    take(slot)
    slot.out = None
    slot.forget_session()
    [sample] = listed(stats)
    assert sample.attributes[catalogue.BACKEND_PID] == 4711
    assert len(listed(stats, TAKEN_AT_S + LISTED_FOR_S)) == 1
    assert listed(stats, TAKEN_AT_S + LISTED_FOR_S + 0.1) == []


def test_a_push_lists_a_bounded_number() -> None:
    stats, slots = a_child_with(3 * MAX_LISTED)
    for number, slot in enumerate(slots):
        take(slot, number)
        if number % 2:
            slot.forget_session()
    assert len(listed(stats)) == MAX_LISTED

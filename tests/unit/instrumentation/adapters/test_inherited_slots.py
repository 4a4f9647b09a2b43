"""The slot of an inherited connection counts each use, and forgets that with the connection."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolscope.adapters.common.inherited_slots import InheritedSlot, mark_inherited
from poolscope.adapters.common.slot_keeper import KeptSlot
from poolscope.recording.drivers import ConnectionFacts
from poolscope.recording.pool import CheckoutTuple, PoolIdentity, PoolStats, Slot

NO_READER: Any = None
A_SESSION = ConnectionFacts(backend_pid=4711)


class Kept:
    """A library's connection."""


KEPT = Kept()


def checkout(checkout_id: int) -> CheckoutTuple:
    nothing: Any = None
    return (checkout_id, 1.0, nothing, None, nothing, None, lambda: nothing)


@pytest.fixture(params=[Slot, KeptSlot], ids=["record", "connection"])
def slot(request: pytest.FixtureRequest) -> Slot:
    stats = PoolStats(PoolIdentity("shop"), NO_READER)
    made: Slot = Slot(stats) if request.param is Slot else KeptSlot(stats, KEPT)
    made.begin_session(A_SESSION)
    return made


def test_each_use_of_an_inherited_connection_counts(slot: Slot) -> None:
    mark_inherited([slot])
    for number in (1, 2):
        slot.out = checkout(number)
        assert slot.out[0] == number
        slot.out = None
    assert slot.stats.inherited == 2
    assert slot.last_out is not None
    assert slot.last_out[0] == 2


def test_a_checkout_that_is_noted_with_another_owner_counts_once(slot: Slot) -> None:
    mark_inherited([slot])
    slot.out = checkout(1)
    slot.out = (*checkout(1)[:6], lambda: slot)
    assert slot.stats.inherited == 1


def test_a_process_that_forks_counts_none_of_its_own(slot: Slot) -> None:
    slot.out = checkout(1)
    assert (slot.stats.inherited, slot.last_out) == (0, None)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_connection_that_is_closed_or_replaced_is_not_inherited_any_more(
    slot: Slot, replaced: bool
) -> None:
    ordinary = type(slot)
    mark_inherited([slot])
    assert isinstance(slot, InheritedSlot)
    slot.out = checkout_before = checkout(1)
    if replaced:
        slot.begin_session(A_SESSION)
    else:
        slot.forget_session()
    assert type(slot) is ordinary
    assert [use for _, use in slot.stats.closed_inherited] == [checkout_before]
    slot.out = checkout(2)
    assert (slot.stats.inherited, slot.last_out) == (1, None)
    assert slot.facts == (A_SESSION if replaced else ConnectionFacts())


def test_a_slot_without_a_connection_inherits_nothing(slot: Slot) -> None:
    slot.forget_session()
    mark_inherited([slot])
    slot.out = checkout(1)
    assert slot.stats.inherited == 0


def test_a_child_of_a_child_begins_again(slot: Slot) -> None:
    mark_inherited([slot])
    slot.out = checkout(1)
    slot.stats.reset()
    mark_inherited([slot])
    assert (slot.last_out, slot.stats.inherited) == (None, 0)
    slot.out = checkout(2)
    assert slot.stats.inherited == 1


@given(st.lists(st.sampled_from(["take", "give back", "replace", "close", "fork"]), max_size=30))
def test_whatever_happens_exactly_the_uses_after_a_fork_are_counted(steps: list[str]) -> None:
    stats = PoolStats(PoolIdentity("shop"), NO_READER)
    slot: Slot = KeptSlot(stats, KEPT)
    slot.begin_session(A_SESSION)
    is_inherited, is_open, expected = False, True, 0
    for number, step in enumerate(steps):
        match step:
            case "take":
                slot.out = checkout(number)
                expected += is_inherited
            case "give back":
                slot.out = None
            case "replace":
                slot.begin_session(A_SESSION)
                is_inherited, is_open = False, True
            case "close":
                slot.forget_session()
                is_inherited = is_open = False
            case _:
                mark_inherited([slot])
                is_inherited = is_open
    assert stats.inherited == expected
    assert isinstance(slot, InheritedSlot) is is_inherited
    stats.slots.clear()

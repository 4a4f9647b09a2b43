"""A server's answer counts only once a later push shows the checkout still held."""

import pytest

from poolscope_exporter.core.linking.confirmation import (
    MAX_PENDING,
    Confirmations,
    Confirmed,
    Pending,
    Unseen,
)
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import CheckoutKey
from support.exporter.builders import SERVER, a_checkout, a_session, an_instance

KEY = CheckoutKey(an_instance(), 1)
OTHER = CheckoutKey(an_instance("shop-2"), 1)


def a_link(taken_at_s: float) -> Link:
    return Link(LinkLevel.ADDRESS, SERVER, a_session(), taken_at_s)


def test_checkout_that_was_never_sampled_is_unseen() -> None:
    confirmations = Confirmations()
    confirmations.confirm_held(KEY, 100.0, 5.0)
    assert confirmations.confirmed_or_waiting(KEY) == Unseen()


def test_answer_waits_for_a_push() -> None:
    confirmations = Confirmations()
    confirmations.record_outcome(KEY, a_link(100.0), 100.0)
    assert confirmations.confirmed_or_waiting(KEY) == Pending(a_link(100.0))


@pytest.mark.parametrize(
    ("reported_at_s", "interval_s", "counts"),
    [
        (100.99, 5.0, False),
        (101.0, 5.0, True),
        (101.01, 5.0, True),
        (100.24, 0.5, False),
        (100.25, 0.5, True),
        (100.26, 0.5, True),
        (99.0, 5.0, False),
    ],
)
def test_push_must_come_later_by_a_second_or_half_its_interval(
    reported_at_s: float, interval_s: float, counts: bool
) -> None:
    confirmations = Confirmations()
    confirmations.record_outcome(KEY, a_link(100.0), 100.0)
    confirmations.confirm_held(KEY, reported_at_s, interval_s)
    assert isinstance(confirmations.confirmed_or_waiting(KEY), Confirmed) is counts


@pytest.mark.parametrize(
    ("ended_s", "counts"), [(0.0, True), (0.75, True), (0.76, False), (4.0, False)]
)
def test_the_end_of_a_checkout_confirms_what_was_answered_before_it(
    ended_s: float, counts: bool
) -> None:
    confirmations = Confirmations()
    assert confirmations.confirmed_by_end(KEY, ended_s, 101.0) is None
    confirmations.record_outcome(KEY, a_link(100.0), 100.0)
    confirmed = confirmations.confirmed_by_end(KEY, ended_s, 101.0)
    assert confirmed == (Confirmed(a_link(100.0), 100.0) if counts else None)


def test_missing_session_is_confirmed_like_a_link() -> None:
    confirmations = Confirmations()
    gone = NoLink(Unlinked.NO_ROW, SERVER)
    confirmations.record_outcome(KEY, gone, 100.0)
    confirmations.confirm_held(KEY, 105.0, 5.0)
    assert confirmations.confirmed_or_waiting(KEY) == Confirmed(gone, 100.0)


def test_newest_answer_that_the_push_confirms_counts() -> None:
    confirmations = Confirmations()
    for taken_at_s in (100.0, 102.0, 104.0, 104.9):
        confirmations.record_outcome(KEY, a_link(taken_at_s), taken_at_s)
    confirmations.confirm_held(KEY, 105.0, 5.0)
    assert confirmations.confirmed_or_waiting(KEY) == Confirmed(a_link(104.0), 104.0)


def test_confirmed_answer_holds_until_a_later_one_is_confirmed() -> None:
    confirmations = Confirmations()
    confirmations.record_outcome(KEY, a_link(100.0), 100.0)
    confirmations.confirm_held(KEY, 105.0, 5.0)
    confirmations.record_outcome(KEY, a_link(105.5), 105.5)
    assert confirmations.confirmed_or_waiting(KEY) == Confirmed(a_link(100.0), 100.0)
    confirmations.confirm_held(KEY, 110.0, 5.0)
    assert confirmations.confirmed_or_waiting(KEY) == Confirmed(a_link(105.5), 105.5)


@pytest.mark.parametrize("poll_interval_s", [0.01, 0.2, 0.25, 1.0])
@pytest.mark.parametrize("push_interval_s", [5.0, 60.0])
def test_fast_polls_with_slow_pushes_never_starve_the_confirmation(
    poll_interval_s: float, push_interval_s: float
) -> None:
    confirmations = Confirmations()
    polls = int(push_interval_s / poll_interval_s)
    for taken_at_s in (100.0 + n * poll_interval_s for n in range(polls)):
        confirmations.record_outcome(KEY, a_link(taken_at_s), taken_at_s)
    now_s = 100.0 + push_interval_s
    confirmations.confirm_held(KEY, now_s, push_interval_s)
    state = confirmations.confirmed_or_waiting(KEY)
    assert isinstance(state, Confirmed)
    assert now_s - state.taken_at_s <= 3.0


def test_answers_that_wait_are_bounded() -> None:
    confirmations = Confirmations()
    for n in range(1000):
        confirmations.record_outcome(KEY, a_link(100.0), 100.0 + n / 10_000)
    assert len(confirmations._records[KEY].pending) <= MAX_PENDING


def test_checkout_that_is_returned_is_forgotten() -> None:
    confirmations = Confirmations()
    for key in (KEY, OTHER):
        confirmations.record_outcome(key, a_link(100.0), 100.0)
    confirmations.keep_only([OTHER])
    assert confirmations.confirmed_or_waiting(KEY) == Unseen()
    assert confirmations.confirmed_or_waiting(OTHER) != Unseen()


def test_process_that_started_again_shares_nothing_with_the_one_before() -> None:
    confirmations = Confirmations()
    checkout = a_checkout()
    for key in (KEY, OTHER):
        confirmations.record_outcome(key, a_link(100.0), 100.0)
    confirmations.link_history.record_link(checkout, a_link(100.0))
    confirmations.drop_instance(checkout.pool.instance)
    assert confirmations.confirmed_or_waiting(KEY) == Unseen()
    assert confirmations.confirmed_or_waiting(OTHER) != Unseen()
    assert confirmations.link_history.first_session_start_s(checkout) is None
    assert not confirmations.link_history.is_proven(checkout.pool)

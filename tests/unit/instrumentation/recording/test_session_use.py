"""Who may use a connection: its owner, and one successor; nobody else, and never two at once."""

import asyncio
from collections import Counter

from poolscope.catalogue import SharedReason
from poolscope.recording.callsite import UNKNOWN_SITE, find_site
from poolscope.recording.requests import Request
from poolscope.recording.session_use import (
    MAX_PAIRS,
    SessionUse,
    SharedKey,
    count_shared,
    reason_of_use,
)


def a_request(*, is_over: bool = False) -> Request:
    request = Request()
    request.finished_at_s = 1.0 if is_over else None
    return request


def reasons(taker: Request | None, *users: Request | None) -> list[SharedReason | None]:
    """Return what is said of the uses of one checkout, in turn."""
    use = SessionUse(object())
    return [reason_of_use(use, taker, user) for user in users]


def test_two_requests_that_are_not_over_share() -> None:
    assert reasons(a_request(), a_request()) == [SharedReason.REQUESTS]


def test_one_request_may_go_on_with_what_another_one_left() -> None:
    successor = a_request()
    assert reasons(a_request(is_over=True), successor, successor) == [None, None]


def test_a_second_successor_shares() -> None:
    first, second = a_request(), a_request()
    said = reasons(a_request(is_over=True), first, second, first)
    assert said == [None, SharedReason.REQUESTS, None]


def test_a_session_that_was_made_outside_of_requests_may_serve_one() -> None:
    one = a_request()
    assert reasons(None, one, one) == [None, None]
    assert reasons(None, one, a_request()) == [None, SharedReason.REQUESTS]


def a_declaration() -> Request:
    """Return what stands in the place of a request within `poolscope.long_lived()`."""
    block = Request()
    block.long_lived = True
    return block


def test_a_request_that_declares_its_connection_may_use_it_within_and_after_the_block() -> None:
    request = a_request()
    assert reasons(a_declaration(), request, request) == [None, None]
    assert reasons(request, a_declaration()) == [None]


def test_requests_that_share_a_declared_connection_share_it_all_the_same() -> None:
    said = reasons(a_declaration(), a_request(), a_request())
    assert said == [None, SharedReason.REQUESTS]


def test_what_goes_on_without_a_request_after_its_end_is_a_hand_over() -> None:
    assert reasons(a_request(is_over=True), None, None) == [None, None]


def test_threads_outside_of_requests_are_not_told_apart() -> None:
    assert reasons(None, None, None) == [None, None]


async def test_tasks_that_take_turns_share() -> None:
    use, turn = SessionUse(object()), asyncio.Barrier(2)

    async def work() -> list[SharedReason | None]:
        said = []
        for _ in range(3):
            said.append(reason_of_use(use, None, None))
            await turn.wait()
        return said

    first, second = await asyncio.gather(work(), work())
    assert (first[0], second[0]) == (None, None)
    assert SharedReason.TASKS in first[1:]
    assert SharedReason.TASKS in second[1:]


async def test_a_task_that_waits_for_another_one_shares_nothing_with_it() -> None:
    """Up to Python 3.11 `wait_for` runs what it is given in a task."""
    use = SessionUse(object())

    async def ask() -> SharedReason | None:
        return reason_of_use(use, None, None)

    said = []
    for _ in range(3):
        said += [await ask(), await asyncio.create_task(ask()), await asyncio.wait_for(ask(), 5)]
    assert set(said) == {None}


async def test_a_task_that_ended_shares_nothing_with_those_after_it() -> None:
    use = SessionUse(object())

    async def ask() -> SharedReason | None:
        return reason_of_use(use, None, None)

    assert [await asyncio.create_task(ask()) for _ in range(20)] == [None] * 20


def test_beyond_the_bound_uses_count_without_their_lines() -> None:
    counts: Counter[SharedKey] = Counter()
    site = find_site(None)
    for number in range(MAX_PAIRS):
        counts[SharedReason.ERROR, "", f"shop/{number}.py:1"] = 1
    count_shared(counts, SharedReason.TASKS, site, UNKNOWN_SITE)
    assert counts[SharedReason.TASKS, "", ""] == 1

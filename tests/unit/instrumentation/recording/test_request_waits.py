"""Checkouts of requests, and their waits for new connections, by how long the process served."""

from typing import Any

import pytest

from poolscope import catalogue
from poolscope.catalogue import Phase, ServingAge
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.checkout import make_record_checkout
from poolscope.recording.pool import PoolIdentity, PoolStats, Slot
from poolscope.recording.requests import CURRENT, Request, long_lived
from poolscope.recording.tasks import this_thread
from poolscope.recording.waiters import FIRST_S, RequestWaits, Waiter

NO_READER: Any = None
FIRST, LATER = ServingAge.FIRST_MINUTE, ServingAge.LATER
BEGAN_S = 1_000.0


def a_waiter(since_s: float, request: Request | None) -> Waiter:
    return Waiter(Phase.CONNECT, since_s, UNKNOWN_SITE, this_thread.owner, request)


def of_ages(waits: RequestWaits) -> tuple[dict[ServingAge, int], dict[ServingAge, int]]:
    return (
        {age: waits.checkouts[age] for age in ServingAge},
        {age: waits.connect_waits[age] for age in ServingAge},
    )


@pytest.mark.parametrize(
    ("after_s", "age"), [(0.0, FIRST), (FIRST_S - 0.1, FIRST), (FIRST_S, LATER), (9_999.0, LATER)]
)
def test_first_minute_begins_with_the_first_request(after_s: float, age: ServingAge) -> None:
    waits = RequestWaits()
    waits.count_connect_wait(a_waiter(BEGAN_S, Request()))
    waits.count_connect_wait(a_waiter(BEGAN_S + after_s, Request()))
    waits.count_taken([BEGAN_S + after_s])
    assert waits.checkouts == {age: 1, **({FIRST: 0} if age is LATER else {LATER: 0})}
    assert waits.connect_waits.total() == 2
    assert waits.connect_waits[age] == (1 if age is LATER else 2)


def test_first_request_is_the_one_that_began_first_whichever_ended_first() -> None:
    waits = RequestWaits()
    waits.count_taken([BEGAN_S + FIRST_S, BEGAN_S])
    assert waits.checkouts == {FIRST: 1, LATER: 1}


@pytest.mark.parametrize("request_of_waiter", [None, "long_lived"])
def test_connection_that_is_opened_for_no_request_counts_as_none(
    request_of_waiter: str | None,
) -> None:
    """What a lifespan opens before the first request is what prewarming is."""
    waits, declared = RequestWaits(), Request()
    declared.long_lived = True
    waits.count_connect_wait(a_waiter(BEGAN_S, declared if request_of_waiter else None))
    waits.count_connect_wait(None)
    waits.count_taken([])
    assert of_ages(waits) == ({FIRST: 0, LATER: 0}, {FIRST: 0, LATER: 0})
    waits.count_taken([BEGAN_S + 10 * FIRST_S])
    assert waits.checkouts[FIRST] == 1


def check_out(stats: PoolStats) -> None:
    slot = Slot(stats)
    make_record_checkout()(stats, slot, BEGAN_S, BEGAN_S, None, object)
    stats.end(slot, BEGAN_S + 1.0)


def test_only_checkouts_of_requests_count() -> None:
    stats = PoolStats(PoolIdentity("shop"), NO_READER)
    check_out(stats)
    token = CURRENT.set(Request())
    check_out(stats)
    with long_lived():
        check_out(stats)
    CURRENT.reset(token)
    assert sum(stats.use.counts) == 3
    assert stats.request_waits.checkouts[FIRST] == 1
    stats.reset()
    assert stats.request_waits.checkouts.total() == 0


def test_both_counters_have_both_ages() -> None:
    metrics = (catalogue.REQUEST_CHECKOUTS, catalogue.REQUEST_CONNECT_WAITS)
    assert all(set(catalogue.EFFECTS[metric]) == set(ServingAge) for metric in metrics)

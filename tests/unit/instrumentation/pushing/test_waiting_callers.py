"""A push lists the callers that have waited longest, with their true number."""

import sys
from typing import Any

from poolscope import catalogue
from poolscope.catalogue import OwnerKind, Phase
from poolscope.pushing.samples import Sample
from poolscope.pushing.waiting_callers import MAX_WAITERS_LISTED, WaiterList
from poolscope.recording.callsite import UNKNOWN_SITE, find_site
from poolscope.recording.pool import PoolIdentity, PoolStats
from poolscope.recording.requests import Request
from poolscope.recording.waiters import Waiter

NO_READER: Any = None
ORDERS, USERS = PoolIdentity("orders"), PoolIdentity("users")


def a_waiter(since_s: float, phase: Phase = Phase.QUEUE, **others: Any) -> Waiter:
    return Waiter(phase, since_s, **{"site": UNKNOWN_SITE, "owner": 7, "request": None, **others})


def a_pool(identity: PoolIdentity, *waiters: Waiter) -> PoolStats:
    stats = PoolStats(identity, NO_READER)
    stats.waiting = dict(enumerate(waiters))
    return stats


def pushed(*pools: PoolStats) -> list[Sample]:
    """Return what is pushed at 10 s, where callers are listed after 1 s."""
    waiters = WaiterList(10.0, 1.0)
    for stats in pools:
        waiters.list_waiters(stats.identity, stats)
    return list(waiters.waiter_samples())


def values(samples: list[Sample], metric: catalogue.Metric, identity: PoolIdentity) -> list[Any]:
    return [
        sample.value
        for sample in samples
        if sample.metric is metric and sample.attributes[catalogue.POOL_NAME] == identity.name
    ]


def test_callers_are_listed_once_they_have_waited_long_enough() -> None:
    samples = pushed(a_pool(ORDERS, a_waiter(8.9), a_waiter(9.0), a_waiter(9.1)))
    assert values(samples, catalogue.WAITER_AGE, ORDERS) == [10.0 - 8.9, 1.0]
    assert values(samples, catalogue.WAITERS_WAITING, ORDERS) == [2]
    assert values(samples, catalogue.WAITERS_LISTED, ORDERS) == [2]


def test_a_pool_that_nobody_waits_for_has_a_list_of_nothing() -> None:
    samples = pushed(a_pool(ORDERS))
    assert values(samples, catalogue.WAITERS_WAITING, ORDERS) == [0]
    assert values(samples, catalogue.WAITERS_LISTED, ORDERS) == [0]


def test_the_oldest_of_all_pools_are_listed_and_all_are_counted() -> None:
    many = [a_waiter(5.0 + n / 1000) for n in range(MAX_WAITERS_LISTED)]
    samples = pushed(a_pool(ORDERS, *many), a_pool(USERS, a_waiter(1.0), a_waiter(8.0)))
    assert values(samples, catalogue.WAITER_AGE, USERS) == [9.0]
    assert values(samples, catalogue.WAITERS_WAITING, USERS) == [2]
    assert values(samples, catalogue.WAITERS_LISTED, USERS) == [1]
    assert values(samples, catalogue.WAITERS_WAITING, ORDERS) == [MAX_WAITERS_LISTED]
    assert values(samples, catalogue.WAITERS_LISTED, ORDERS) == [MAX_WAITERS_LISTED - 1]


def test_a_listed_caller_has_its_place_and_its_request() -> None:

    request = Request()
    request.known_route = "/report"
    site = find_site(sys._getframe())
    waiter = a_waiter(1.0, Phase.CONNECT, site=site, request=request)
    [first, *_] = pushed(a_pool(ORDERS, waiter))
    assert first.attributes == {
        catalogue.POOL_NAME: "orders",
        catalogue.WAITER_ID: 0,
        catalogue.PHASE: "connect",
        catalogue.HTTP_ROUTE: "/report",
        catalogue.CODE_FILE_PATH: site.place[0] if site.place else None,
        catalogue.CODE_LINE_NUMBER: site.place[1] if site.place else None,
        catalogue.CODE_FUNCTION_NAME: "test_a_listed_caller_has_its_place_and_its_request",
        catalogue.OWNER_KIND: OwnerKind.REQUEST.value,
    }


def test_what_is_unknown_of_a_caller_is_left_out() -> None:
    [first, *_] = pushed(a_pool(ORDERS, a_waiter(1.0, Phase.PING)))
    assert set(first.attributes) == {
        catalogue.POOL_NAME,
        catalogue.WAITER_ID,
        catalogue.PHASE,
        catalogue.OWNER_KIND,
    }

"""Callers that wait are counted by phase, with the age of the oldest."""

from typing import Any

from poolscope import catalogue
from poolscope.catalogue import Phase
from poolscope.pushing.samples import pool_samples
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.leaks import LeakDetector
from poolscope.recording.pool import PoolIdentity, PoolState, PoolStats
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import this_thread
from poolscope.recording.waiters import (
    Waiter,
    blocked_caller,
    make_pinging_caller,
    oldest_by_phase,
)


class Reader:
    def state(self, _: Any) -> PoolState:
        return PoolState(0, 0)

    def configuration(self) -> None:
        return None

    def open_connection(self, _: Any) -> None:
        return None

    def is_closed(self) -> bool:
        return False


def a_pool() -> PoolStats:
    return PoolStats(PoolIdentity("shop"), Reader())


def a_waiter(phase: Phase, since_s: float) -> Waiter:
    return Waiter(phase, since_s, UNKNOWN_SITE, this_thread.owner, None)


def test_each_phase_has_its_number_and_the_age_of_its_oldest() -> None:
    waiters = [a_waiter(Phase.QUEUE, 7.0), a_waiter(Phase.QUEUE, 4.0), a_waiter(Phase.PING, 9.5)]
    assert oldest_by_phase(waiters, now_s=10.0) == {
        Phase.QUEUE: (2, 6.0),
        Phase.CONNECT: (0, 0.0),
        Phase.PING: (1, 0.5),
    }


def test_what_is_pushed_has_every_phase_and_their_sum() -> None:
    stats = a_pool()
    stats.waiting = {1: a_waiter(Phase.CONNECT, 4.0), 2: a_waiter(Phase.PING, 9.0)}
    found = {
        (sample.metric, sample.attributes.get(catalogue.PHASE)): sample.value
        for sample in pool_samples(stats.identity, stats, LeakDetector(), now_s=10.0)
    }
    assert found[catalogue.PENDING_REQUESTS, None] == 2
    pending = {phase: found[catalogue.PENDING, phase] for phase in ("queue", "connect", "ping")}
    assert pending == {"queue": 0, "connect": 1, "ping": 1}
    ages = {phase: found[catalogue.PENDING_AGE, phase] for phase in ("queue", "connect", "ping")}
    assert ages == {"queue": 0.0, "connect": 6.0, "ping": 1.0}


def test_a_forked_child_has_no_waiter_of_its_parent() -> None:
    stats = a_pool()
    stats.waiting = {1: a_waiter(Phase.CONNECT, 4.0)}
    stats.reset()
    assert stats.waiting == {}


def test_a_waiter_belongs_to_the_request_that_runs() -> None:
    request, owner = Request(), this_thread.owner
    token = CURRENT.set(request)
    queued = blocked_caller(Phase.QUEUE, 1.0, UNKNOWN_SITE, owner)
    pinging = make_pinging_caller()(2.0)
    CURRENT.reset(token)
    assert queued == Waiter(Phase.QUEUE, 1.0, UNKNOWN_SITE, owner, request)
    assert pinging == Waiter(Phase.PING, 2.0, UNKNOWN_SITE, owner, request)

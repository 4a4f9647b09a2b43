"""The first caller that gives up looks at its pool; the swarm after it does not."""

from typing import Any

import pytest

from poolscope.catalogue import OwnerKind, Phase
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.checkout import make_record_checkout
from poolscope.recording.exhaustion import WaitersThen
from poolscope.recording.pool import PoolIdentity, PoolState, PoolStats, Slot
from poolscope.recording.tasks import this_thread
from poolscope.recording.timeouts import LISTED, LOOK_AGAIN_S, exhaustion_of, look_at_timeout
from poolscope.recording.waiters import Waiter


class Reader:
    def state(self, slots: Any) -> PoolState:
        return PoolState(len(slots), 0)

    def configuration(self) -> None:
        return None

    def open_connection(self, _: Any) -> None:
        return None

    def is_closed(self) -> bool:
        return False


@pytest.fixture
def stats() -> PoolStats:
    return PoolStats(PoolIdentity("shop"), Reader())


def check_out(stats: PoolStats, at_s: float) -> None:
    slot = stats.slots[object()] = Slot(stats)
    make_record_checkout()(stats, slot, at_s, at_s, None, object)


def a_waiter(phase: Phase, since_s: float) -> Waiter:
    return Waiter(phase, since_s, UNKNOWN_SITE, this_thread.owner, None)


def test_holders_are_the_oldest_and_all_are_counted(stats: PoolStats) -> None:
    for number in range(LISTED + 5):
        check_out(stats, at_s=float(number))
    seen = exhaustion_of(stats, now_s=100.0)
    assert (seen.used, seen.idle, seen.held_total) == (LISTED + 5, 0, LISTED + 5)
    assert [holder.age_s for holder in seen.holders] == [100.0 - n for n in range(LISTED)]
    assert {holder.owner for holder in seen.holders} == {OwnerKind.THREAD}


def test_waiters_are_together_by_phase_and_line_and_all_are_counted(stats: PoolStats) -> None:
    stats.waiting = {
        1: a_waiter(Phase.QUEUE, 97.0),
        2: a_waiter(Phase.QUEUE, 95.0),
        3: a_waiter(Phase.PING, 92.0),
    }
    seen = exhaustion_of(stats, now_s=100.0)
    assert seen.waiting == {Phase.QUEUE: 2, Phase.CONNECT: 0, Phase.PING: 1}
    assert seen.waiters == (
        WaitersThen(Phase.PING, UNKNOWN_SITE, None, 1, 8.0),
        WaitersThen(Phase.QUEUE, UNKNOWN_SITE, None, 2, 5.0),
    )


def test_the_first_time_out_is_looked_at_and_the_swarm_after_it_is_not(stats: PoolStats) -> None:
    looked = []
    for now_s in (10.0, 11.0, 10.0 + LOOK_AGAIN_S - 0.1, 10.0 + LOOK_AGAIN_S):
        stats.exhaustion = None
        look_at_timeout(stats, now_s)
        looked.append(stats.exhaustion is not None)
    assert looked == [True, False, False, True]


def test_a_forked_child_looks_again_and_reports_nothing_of_its_parent(stats: PoolStats) -> None:
    look_at_timeout(stats, 5.0)
    stats.reset()
    assert stats.exhaustion is None
    look_at_timeout(stats, 5.0)
    assert stats.exhaustion is not None

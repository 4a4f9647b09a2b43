"""The waiting callers of a pool are known by where they ask, for as long as the push is true."""

from dataclasses import replace

from poolscope.catalogue import Phase
from poolscope_exporter.core.admission.limits import Budget, Share
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.waiter_groups import (
    MAX_GROUPS,
    MAX_WAITERS,
    PoolWaiters,
    ProcessWaiters,
    WaiterGroup,
    group_waiters,
)
from support.exporter.builders import a_pool, a_push, a_waiting_caller, pool_points, waiting_for


def known(fleet: Fleet, now_s: float) -> PoolWaiters | None:
    return fleet.pools(now_s)[a_pool()].waiters


def test_callers_are_together_by_phase_line_and_route_with_the_oldest_first() -> None:
    callers = [
        a_waiting_caller(2.0),
        a_waiting_caller(3.0),
        a_waiting_caller(9.0, phase=Phase.CONNECT),
        a_waiting_caller(5.0, route=None),
    ]
    line = ("shop/report.py", 20, "report")
    assert group_waiters(7, callers) == PoolWaiters(
        7,
        4,
        (
            WaiterGroup(Phase.CONNECT, "/report", *line, 9.0, 1),
            WaiterGroup(Phase.QUEUE, None, *line, 5.0, 1),
            WaiterGroup(Phase.QUEUE, "/report", *line, 3.0, 2),
        ),
    )


def test_the_groups_of_the_oldest_are_kept() -> None:
    callers = [a_waiting_caller(float(n), route=f"/{n}") for n in range(MAX_GROUPS + 2)]
    waiters = group_waiters(len(callers), callers)
    assert waiters.listed == MAX_GROUPS + 2
    assert [group.age_s for group in waiters.groups] == [
        float(n) for n in range(MAX_GROUPS + 1, 1, -1)
    ]


def test_each_push_replaces_the_waiters_of_the_one_before() -> None:
    fleet = Fleet()
    push = a_push(*pool_points(), waiters=(waiting_for(a_waiting_caller(), a_waiting_caller()),))
    fleet.record_push(push, 100.0)
    before = known(fleet, 100.0)
    assert before is not None
    assert [group.count for group in before.groups] == [2]
    fleet.record_push(replace(push, sequence=2, waiters=(waiting_for(),)), 105.0)
    assert known(fleet, 105.0) == PoolWaiters(0, 0, ())
    fleet.record_push(replace(push, sequence=3, waiters=()), 110.0)
    assert known(fleet, 110.0) is None


def test_the_waiters_of_a_process_that_is_gone_are_gone_and_so_is_their_room() -> None:
    fleet = Fleet()
    push = a_push(*pool_points(), waiters=(waiting_for(a_waiting_caller()),))
    fleet.record_push(push, 100.0)
    assert fleet._budgets.waiters.used == 1
    fleet.tick(116.0)
    assert fleet.pools(116.0) == {}
    assert fleet._budgets.waiters.used == 0


def test_a_process_has_no_more_waiters_than_poolscope_lists() -> None:
    fleet = Fleet()
    many = waiting_for(*(a_waiting_caller(route=f"/{n}") for n in range(MAX_WAITERS + 3)))
    fleet.record_push(a_push(*pool_points(), waiters=(many,)), 100.0)
    waiters = known(fleet, 100.0)
    assert waiters is not None
    assert (waiters.waiting, waiters.listed) == (MAX_WAITERS + 3, MAX_WAITERS)
    assert fleet.refused[Refusal.TOO_MANY_WAITERS] == 3


def test_the_groups_of_all_processes_together_are_bounded() -> None:
    budget = Share(Budget(3))
    first, second = ProcessWaiters(50, budget), ProcessWaiters(50, budget)
    push = a_push(waiters=(waiting_for(a_waiting_caller(), a_waiting_caller(route="/")),))
    assert first.replace_waiters(push) == {}
    assert second.replace_waiters(push) == {Refusal.TOO_MANY_WAITERS: 2}
    assert second.pool_waiters(a_pool()) is None
    assert first.replace_waiters(a_push(waiters=(waiting_for(),))) == {}
    assert second.replace_waiters(push) == {}

"""Two processes that report one session are named; a backend pid alone proves nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolscope.catalogue import HOST_NAME, PROCESS_PID
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.linking.shared_sessions import MAX_NAMED, with_shared_sessions
from poolscope_exporter.core.model.checkouts import InheritedConnection, Pool
from poolscope_exporter.core.model.endpoints import Endpoint
from support.exporter.builders import (
    LOCAL,
    PID,
    a_checkout,
    a_pool,
    a_push,
    an_inherited_connection,
    an_instance,
    holding,
    pool_points,
)

OTHER_LOCAL = Endpoint(LOCAL.address, LOCAL.port + 1)
NOW_S = 101.0


def pool_of_process(number: int, **options: Any) -> Pool:
    return a_pool(an_instance(f"shop-{number}"), **options)


def record(fleet: Fleet, pool: Pool, number: int, host: str = "web-1", **options: Any) -> None:
    resource = {PROCESS_PID: str(number), HOST_NAME: host}
    points = pool_points(pool)
    push = a_push(*points, instance=pool.instance, resource=resource, **options)
    assert fleet.record_push(push, 100.0).accepted


def a_child(fleet: Fleet, number: int = 2, **options: Any) -> Pool:
    """Record a process that used its parent's connection; return its pool."""
    pool = pool_of_process(number)
    record(fleet, pool, number, inherited={pool: (an_inherited_connection(**options),)})
    return pool


def shared(fleet: Fleet, pool: Pool) -> tuple[InheritedConnection, ...]:
    return with_shared_sessions(fleet.pools(NOW_S), fleet, NOW_S)[pool].inherited


def sharers(fleet: Fleet, pool: Pool) -> tuple[str, ...]:
    [connection] = shared(fleet, pool)
    return connection.shared_with


def test_two_children_of_one_parent_name_each_other() -> None:
    fleet = Fleet()
    one, other = a_child(fleet, 2), a_child(fleet, 3)
    assert sharers(fleet, one) == ("process 3 on web-1",)
    assert sharers(fleet, other) == ("process 2 on web-1",)


def test_a_child_that_is_alone_has_nobody_to_name() -> None:
    fleet = Fleet()
    assert sharers(fleet, a_child(fleet)) == ()


def test_only_a_few_of_many_processes_are_named() -> None:
    fleet = Fleet()
    pools = [a_child(fleet, number) for number in range(2, 12)]
    assert len(sharers(fleet, pools[0])) == MAX_NAMED


def test_two_processes_that_hold_one_connection_prove_it_without_knowing_of_a_fork() -> None:
    fleet = Fleet()
    pools = [pool_of_process(number) for number in (1, 2)]
    for number, pool in enumerate(pools, start=1):
        record(fleet, pool, number, held=(holding(a_checkout(pool=pool)),))
    assert sharers(fleet, pools[0]) == ("process 2 on web-1",)
    assert sharers(fleet, pools[1]) == ("process 1 on web-1",)
    assert shared(fleet, pools[0])[0].unused_s == 0.0


def test_the_parent_is_named_that_holds_the_connection() -> None:
    fleet = Fleet()
    parent = pool_of_process(1)
    record(fleet, parent, 1, held=(holding(a_checkout(pool=parent)),))
    assert sharers(fleet, a_child(fleet)) == ("process 1 on web-1",)
    assert sharers(fleet, parent) == ("process 2 on web-1",)


def test_the_parent_is_named_that_only_lists_the_session() -> None:
    fleet = Fleet()
    parent = pool_of_process(1)
    record(fleet, parent, 1, backend_pids={parent: frozenset({PID, PID + 1})})
    assert sharers(fleet, a_child(fleet, local=None)) == ("process 1 on web-1",)
    assert shared(fleet, parent) == ()


@pytest.mark.parametrize(
    ("host", "local", "pid"),
    [("web-2", LOCAL, PID), ("web-1", OTHER_LOCAL, PID), ("web-1", LOCAL, PID + 1)],
    ids=["another host", "another port", "another pid"],
)
def test_what_differs_in_host_port_or_pid_is_another_session(
    host: str, local: Endpoint, pid: int
) -> None:
    fleet = Fleet()
    other = pool_of_process(1)
    held = holding(a_checkout(pool=other, local=local, backend_pid=pid))
    record(fleet, other, 1, host, held=(held,))
    assert sharers(fleet, a_child(fleet)) == ()
    assert shared(fleet, other) == ()


def test_a_pid_that_is_listed_of_another_server_is_another_session() -> None:
    fleet = Fleet()
    other = pool_of_process(1, server_address="10.0.0.99")
    record(fleet, other, 1, backend_pids={other: frozenset({PID})})
    assert sharers(fleet, a_child(fleet)) == ()


def test_connections_without_a_socket_that_anybody_reports_are_not_compared() -> None:
    fleet = Fleet()
    pools = [pool_of_process(number) for number in (1, 2)]
    for number, pool in enumerate(pools, start=1):
        held = holding(a_checkout(pool=pool, local=None, backend_pid=None))
        record(fleet, pool, number, held=(held,))
    assert shared(fleet, pools[0]) == ()


SESSIONS = st.tuples(st.sampled_from([PID, PID + 1]), st.sampled_from([LOCAL, OTHER_LOCAL]))
REPORTS = st.tuples(SESSIONS, st.sampled_from(["web-1", "web-2"]), st.booleans())


@given(st.lists(REPORTS, min_size=2, max_size=3))
def test_processes_name_each_other_exactly_if_pid_socket_and_host_are_one(
    reports: list[tuple[tuple[int, Endpoint], str, bool]],
) -> None:
    fleet, pools = Fleet(), [pool_of_process(number) for number in range(len(reports))]
    for number, ((pid, local), host, is_held) in enumerate(reports):
        pool = pools[number]
        held = holding(a_checkout(pool=pool, backend_pid=pid, local=local))
        inherited = {pool: (an_inherited_connection(backend_pid=pid, local=local),)}
        lists: dict[str, Any] = {"held": (held,)} if is_held else {"inherited": inherited}
        record(fleet, pool, number, host, **lists)
    for number, (session, host, _) in enumerate(reports):
        same = [
            f"process {other} on {host}"
            for other, report in enumerate(reports)
            if other != number and report[:2] == (session, host)
        ]
        found = [name for each in shared(fleet, pools[number]) for name in each.shared_with]
        assert found == same

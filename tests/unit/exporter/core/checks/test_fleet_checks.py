"""C7 over the processes that are really heard of, at the server or proxy that they lead to."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerLimits, bouncer_headroom
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.judging.visibility import of_own_pod
from poolscope_exporter.core.linking.confirmation import Confirmations
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.servers import ServerLimits
from support.exporter.builders import (
    BOUNCER,
    BOUNCER_END,
    PEER,
    a_bouncer,
    a_bouncer_sample,
    a_point,
    a_pool,
    a_push,
    a_server,
    an_instance,
    pool_points,
)

LIMITS = ServerLimits(100, 3, 0)


def a_view(limits: ServerLimits | None = LIMITS) -> ServerView:
    identity = a_server()
    return ServerView("main", up=True, identity=identity, limits=limits)


def a_bouncer_view(clients: int) -> BouncerView:
    sample = a_bouncer_sample()
    room = bouncer_headroom(BouncerLimits(clients), sample)
    return BouncerView(BOUNCER, up=True, known=a_bouncer(sample), headroom=room)


def a_fleet(processes: int, limit: int, end: Endpoint = PEER) -> Fleet:
    fleet = Fleet()
    for number in range(processes):
        instance = an_instance(f"shop-{number}")
        pool = a_pool(instance, server_address=end.address, server_port=end.port)
        points = [*pool_points(pool, limit=limit), a_point(catalogue.POOL_PRE_PING, 1, pool=pool)]
        fleet.record_push(a_push(*points, instance=instance), 100.0)
    return fleet


def the_sums(situation: Situation) -> list[ConfigCheck]:
    return [c for state in situation.pools for c in state.checks if c.check_id is CheckId.C7]


def without_sums(situation: Situation) -> list[PoolAssessment]:
    return [
        replace(state, checks=tuple(c for c in state.checks if c.check_id is not CheckId.C7))
        for state in situation.pools
    ]


@pytest.mark.parametrize(
    ("processes", "result"), [(1, Result.OK), (5, Result.OK), (6, Result.WARN)]
)
def test_sum_grows_with_each_process(processes: int, result: Result) -> None:
    found = the_sums(assess(a_fleet(processes, 16), Confirmations(), [a_view()], 105.0))
    assert [(each.result, each.value) for each in found] == [(result, 16 * processes)] * processes


def test_process_that_is_gone_counts_no_longer() -> None:
    fleet = a_fleet(6, 16)
    # An hour later, one of them is still heard.
    pool = a_pool(an_instance("shop-0"))
    push = a_push(*pool_points(pool, limit=16), instance=pool.instance, sequence=2)
    fleet.record_push(push, 3700.0)
    [found] = the_sums(assess(fleet, Confirmations(), [a_view()], 3700.0))
    assert (found.result, found.value) == (Result.OK, 16)


def test_server_that_tells_no_limits_leaves_it_unknown() -> None:
    [found] = the_sums(assess(a_fleet(1, 1000), Confirmations(), [a_view(None)], 105.0))
    assert (found.result, found.value) == (Result.UNKNOWN, 1000)


@pytest.mark.parametrize(("clients", "result"), [(40, Result.OK), (39, Result.WARN)])
def test_behind_a_bouncer_its_clients_are_the_limit(clients: int, result: Result) -> None:
    fleet = a_fleet(2, 16, BOUNCER_END)
    found = the_sums(assess(fleet, Confirmations(), [a_view()], 105.0, [a_bouncer_view(clients)]))
    assert [(each.result, each.value) for each in found] == [(result, 32)] * 2


@pytest.mark.parametrize(
    ("processes", "result"), [(1, Result.ELSEWHERE), (5, Result.ELSEWHERE), (6, Result.WARN)]
)
def test_sidecar_does_not_take_its_pod_for_the_fleet(processes: int, result: Result) -> None:
    whole = assess(a_fleet(processes, 16), Confirmations(), [a_view()], 105.0)
    own = of_own_pod(whole)
    assert {each.result for each in the_sums(own)} == {result}
    assert without_sums(own) == without_sums(whole)


def test_sidecar_shows_the_share_of_its_pod_as_a_lower_bound_and_names_who_judges() -> None:
    whole = assess(a_fleet(2, 16), Confirmations(), [a_view()], 105.0)
    found = the_sums(of_own_pod(whole))
    assert [each.value for each in found] == ["at least 32, in this pod"] * 2
    assert "run audit against the exporter that receives those of all pods" in str(found[0].cure)


def test_sidecar_that_knows_no_server_leaves_the_sum_to_the_one_that_does() -> None:
    [found] = the_sums(of_own_pod(assess(a_fleet(1, 16), Confirmations(), [], 105.0)))
    assert (found.result, found.value) == (Result.ELSEWHERE, None)


@pytest.mark.parametrize(("end", "result"), [(BOUNCER_END, Result.OK), (PEER, Result.WARN)])
def test_null_pool_is_well_before_a_bouncer_alone(end: Endpoint, result: Result) -> None:
    pool = a_pool(server_address=end.address, server_port=end.port)
    about = {catalogue.POOL_CLASS: "NullPool", catalogue.LIBRARY: "sqlalchemy"}
    fleet = Fleet()
    fleet.record_push(a_push(a_point(catalogue.POOL_INFO, 1, pool=pool, attributes=about)), 100.0)
    [state] = assess(fleet, Confirmations(), [a_view()], 105.0, [a_bouncer_view(100)]).pools
    assert [c.result for c in state.checks if c.check_id is CheckId.C9] == [result]

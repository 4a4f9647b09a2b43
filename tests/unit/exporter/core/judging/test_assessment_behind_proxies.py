"""Pools behind proxies: the bouncer's room and pauses in their diagnosis, C4 by its time-outs."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope_exporter.core.capacity.idle_timeouts import IdleSource, IdleTimeout
from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerLimits, bouncer_headroom
from poolscope_exporter.core.checks.model import CheckId, Result
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.confirmation import Confirmations
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.servers import ConfiguredServer
from support.exporter.builders import (
    BOUNCER,
    BOUNCER_END,
    LOCAL,
    PEER,
    SERVER,
    a_bouncer,
    a_bouncer_sample,
    a_checkout,
    a_client,
    a_pool,
    a_push,
    a_server,
    a_session,
    an_instance,
    holding,
    pool_points,
)

BEHIND = a_pool(server_address=BOUNCER_END.address, server_port=BOUNCER_END.port)


def a_view(
    *, clients: int = 10, idle_s: float | None = 0.0, paused: bool = False, up: bool = True
) -> BouncerView:
    queue = {LOCAL: a_client(is_waiting=True, waits_s=5.0)}
    sample = replace(a_bouncer_sample(queue, taken_at_s=104.0), total_clients=clients)
    return BouncerView(
        BOUNCER,
        up=up,
        timeouts_s=None if idle_s is None else {"client_idle_timeout": idle_s},
        known=a_bouncer(sample),
        headroom=bouncer_headroom(BouncerLimits(100), sample),
        paused=frozenset({"orders"} if paused else ()),
    )


def seen(view: BouncerView, fleet: Fleet, configured_s: float | None = None) -> Situation:
    return assess(fleet, Confirmations(), [], 105.0, [view], proxy_idle_timeout_s=configured_s)


def a_fleet(*pools: tuple[str, int | None, str]) -> Fleet:
    """Return a fleet of processes with a pool each: (instance, max, server address)."""
    fleet = Fleet()
    for name, limit, address in pools:
        port = BOUNCER_END.port if address == BOUNCER_END.address else PEER.port
        pool = a_pool(an_instance(name), server_address=address, server_port=port)
        points = pool_points(pool, limit=limit or 0)
        told = [each for each in points if limit or each.metric != catalogue.MAX.name]
        fleet.record_push(a_push(*told, instance=pool.instance), 100.0)
    return fleet


ONE = [("shop-1", 10, BOUNCER_END.address)]


@pytest.mark.parametrize(
    ("clients", "diagnosis"),
    [(99, Diagnosis.HEALTHY), (100, Diagnosis.SERVER_FULL), (101, Diagnosis.SERVER_FULL)],
)
def test_bouncer_without_room_for_a_client_is_full(clients: int, diagnosis: Diagnosis) -> None:
    [state] = seen(a_view(clients=clients), a_fleet(*ONE)).pools
    assert state.diagnosis.diagnosis is diagnosis


def test_room_of_a_bouncer_that_is_down_is_not_known() -> None:
    [state] = seen(a_view(clients=100, up=False), a_fleet(*ONE)).pools
    assert state.diagnosis.diagnosis is Diagnosis.HEALTHY


@pytest.mark.parametrize("is_paused", [True, False])
def test_who_queues_in_a_paused_bouncer_is_told_so(is_paused: bool) -> None:
    fleet, confirmations = Fleet(), Confirmations()
    checkout = a_checkout(pool=BEHIND, peer=BOUNCER_END)
    fleet.record_push(a_push(*pool_points(BEHIND), held=(holding(checkout, pool=BEHIND),)), 100.0)
    outcome = NoLink(Unlinked.WAITING_IN_POOLER, None, BOUNCER, 5.0)
    confirmations.record_outcome(checkout.key, outcome, 100.0)
    confirmations.confirm_held(checkout.key, 105.0, 5.0)

    [state] = assess(fleet, confirmations, [], 105.0, [a_view(paused=is_paused)]).pools

    assert state.diagnosis.diagnosis is Diagnosis.SERVER_FULL
    assert "the longest of them for 5.0 s" in state.diagnosis.reasons
    assert ("PgBouncer bouncer is paused" in " ".join(state.diagnosis.reasons)) is is_paused


def test_potential_is_of_the_pools_that_lead_to_the_bouncer() -> None:
    fleet = a_fleet(*ONE, ("shop-2", 30, BOUNCER_END.address), ("else", 70, PEER.address))
    [view] = seen(a_view(), fleet).bouncers
    assert view.potential_clients == 40


@pytest.mark.parametrize(
    "pools", [[], [("else", 70, PEER.address)], [*ONE, ("shop-2", None, BOUNCER_END.address)]]
)
def test_potential_is_unknown_without_a_pool_or_a_limit(
    pools: list[tuple[str, int | None, str]],
) -> None:
    [view] = seen(a_view(), a_fleet(*pools)).bouncers
    assert view.potential_clients is None


@pytest.mark.parametrize(
    ("through", "server"), [(BOUNCER, SERVER), ("another", None), (None, None)]
)
def test_pool_behind_a_bouncer_leads_to_the_server_that_its_last_link_saw(
    through: str | None, server: str | None
) -> None:
    confirmations, fleet = Confirmations(), Fleet()
    link = Link(LinkLevel.PGBOUNCER, SERVER, a_session(), 100.0, through)
    confirmations.link_history.record_link(a_checkout(pool=BEHIND), link)
    fleet.record_push(a_push(*pool_points(BEHIND)), 100.0)
    [state] = assess(fleet, confirmations, [], 105.0, [a_view()]).pools
    assert (state.server, state.bouncer) == (server, BOUNCER)


@pytest.mark.parametrize(
    ("idle_s", "configured_s", "tightest"),
    [
        (0.0, None, None),
        (300.0, None, IdleTimeout(IdleSource.PGBOUNCER, 300.0, BOUNCER)),
        (300.0, 200.0, IdleTimeout(IdleSource.CONFIGURED, 200.0)),
        (None, 200.0, IdleTimeout(IdleSource.CONFIGURED, 200.0)),
    ],
)
def test_tightest_time_out_on_the_way_of_a_pool_is_told(
    idle_s: float | None, configured_s: float | None, tightest: IdleTimeout | None
) -> None:
    [state] = seen(a_view(idle_s=idle_s), a_fleet(*ONE), configured_s).pools
    assert state.proxy_idle == tightest


def test_c4_is_unknown_while_the_bouncer_is_down() -> None:
    [state] = seen(a_view(idle_s=300.0, up=False), a_fleet(*ONE)).pools
    assert [c.result for c in state.checks if c.check_id is CheckId.C4] == [Result.UNKNOWN]
    assert state.proxy_idle is None  # what it said before may be true no longer


def test_c4_is_no_matter_of_pools_without_a_proxy() -> None:
    [state] = seen(a_view(idle_s=300.0), a_fleet(("else", 70, PEER.address))).pools
    assert CheckId.C4 not in {check.check_id for check in state.checks}
    assert (state.proxy_idle, state.bouncer) == (None, None)


def test_a_proxy_before_one_server_is_that_of_its_pools_alone() -> None:
    before_one = replace(
        a_server_view(), configured=ConfiguredServer("main", proxy_idle_timeout_s=1800.0)
    )
    fleet = a_fleet(("shop-1", 10, PEER.address), ("shop-2", 10, "elsewhere"))
    there, elsewhere = assess(fleet, Confirmations(), [before_one], 105.0).pools
    assert there.proxy_idle == IdleTimeout(IdleSource.CONFIGURED, 1800.0)
    assert elsewhere.proxy_idle is None


def a_server_view() -> ServerView:
    return ServerView("main", up=True, identity=a_server())

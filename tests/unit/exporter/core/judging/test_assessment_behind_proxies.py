"""Pools behind proxies: the bouncer's room and pauses in their diagnosis, C4 by its time-outs."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope_exporter.core.capacity.pgbouncer_headroom import (
    BouncerDatabase,
    BouncerLimits,
    bouncer_headroom,
)
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.confirmation import Confirmations
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout, declared
from poolscope_exporter.core.model.pgbouncers import ClientQueue, PoolingSettings, PoolMode
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
    a_point,
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
    return assess(
        fleet, Confirmations(), [], 105.0, [view], configured_idle=declared(configured_s, None)
    )


def a_fleet(*pools: tuple[str, int | None, str]) -> Fleet:
    """Return a fleet of processes with a pool each: (instance, max, server address)."""
    fleet = Fleet()
    for name, limit, address in pools:
        port = BOUNCER_END.port if address == BOUNCER_END.address else PEER.port
        pool = a_pool(an_instance(name), server_address=address, server_port=port)
        points = pool_points(pool, limit=limit or 0)
        told = [each for each in points if limit or each.metric != catalogue.MAX.name]
        about = {catalogue.POOL_CLASS: "QueuePool"}
        told.append(a_point(catalogue.POOL_INFO, 1, pool=pool, attributes=about))
        fleet.record_push(a_push(*told, instance=pool.instance), 100.0)
    return fleet


ONE = [("shop-1", 10, BOUNCER_END.address)]
MODES = PoolingSettings(
    PoolMode.SESSION, {"orders": PoolMode.TRANSACTION}, {"batch": PoolMode.SESSION}, 0, (1, 25)
)


def statements(view: BouncerView, address: str = BOUNCER_END.address) -> ConfigCheck | None:
    [state] = seen(view, a_fleet(("shop-1", 10, address))).pools
    return next((each for each in state.checks if each.check_id is CheckId.C15), None)


def test_prepared_statements_are_checked_by_the_mode_of_the_pools_own_database() -> None:
    check = statements(replace(a_view(), pooling=MODES))
    assert check is not None
    assert "pool_mode transaction, max_prepared_statements 0" in check.safe_range
    assert check.result is Result.UNKNOWN  # these pools do not report what their driver keeps


@pytest.mark.parametrize(
    ("users", "modes"),
    [
        (["shop"], "transaction"),
        (["batch"], "session"),
        (["batch", "shop"], "session/transaction"),
        ([], "transaction"),
    ],
)
def test_the_mode_is_that_of_the_users_whom_the_bouncer_serves(
    users: list[str], modes: str
) -> None:
    view = replace(a_view(), pooling=MODES)
    assert view.known is not None
    assert view.known.sample is not None
    serving = {("orders", user): 1 for user in users} | {("other", "stranger"): 1}
    sample = replace(view.known.sample, serving=serving)
    check = statements(replace(view, known=replace(view.known, sample=sample)))
    assert check is not None
    assert f"pool_mode {modes}," in check.safe_range


def test_a_bouncer_that_is_down_tells_nothing_of_its_mode() -> None:
    check = statements(replace(a_view(up=False), pooling=None))
    assert check is not None
    assert "pool_mode unknown, max_prepared_statements unknown" in check.safe_range


def test_statements_are_no_matter_where_no_bouncer_is_known() -> None:
    assert statements(replace(a_view(), pooling=MODES), PEER.address) is None


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
    assert "the longest of them has waited for 5.0 s" in state.diagnosis.reasons
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
        a_server_view(), configured=ConfiguredServer("main", idle_timeouts=declared(1800.0, None))
    )
    fleet = a_fleet(("shop-1", 10, PEER.address), ("shop-2", 10, "elsewhere"))
    there, elsewhere = assess(fleet, Confirmations(), [before_one], 105.0).pools
    assert there.proxy_idle == IdleTimeout(IdleSource.CONFIGURED, 1800.0)
    assert elsewhere.proxy_idle is None


RDS_PROXY = "shop.proxy-abc123.eu-west-1.rds.amazonaws.com"


def c4_of(address: str, *configured: float | None) -> ConfigCheck | None:
    """Return check C4 of a pool at an address; `configured` are a proxy's and a NAT's time-out."""
    fleet = a_fleet(("shop-1", 10, address))
    idle = declared(*configured) if configured else ()
    [state] = assess(fleet, Confirmations(), [], 105.0, configured_idle=idle).pools
    return next((check for check in state.checks if check.check_id is CheckId.C4), None)


def test_c4_of_a_recognised_proxy_is_unknown_until_its_time_out_is_declared() -> None:
    check = c4_of(RDS_PROXY)
    assert check is not None
    assert (check.result, check.safe_range) == (Result.UNKNOWN, "not known")
    assert check.cure == (
        "a proxy is likely, the address is one of RDS Proxy: declare its idle time-out"
        " with --proxy-idle-timeout (0 if nothing closes unused connections)"
    )
    assert c4_of("db.internal") is None
    for seconds, safe_range in ((1800.0, "at most 1350 s"), (0.0, "any")):
        declared_check = c4_of(RDS_PROXY, seconds, None)
        assert declared_check is not None
        assert declared_check.safe_range.startswith(safe_range)


def test_a_nat_does_not_stand_for_a_recognised_proxy() -> None:
    check = c4_of(RDS_PROXY, None, 350.0)
    assert check is not None
    assert check.result is Result.UNKNOWN
    nat_alone = c4_of("db.internal", None, 350.0)
    assert nat_alone is not None
    assert nat_alone.safe_range == "at most 262.5 s"


def a_server_view() -> ServerView:
    return ServerView("main", up=True, identity=a_server())


SMALL = BouncerLimits(100, {"orders": BouncerDatabase(pool_size=1)})


def a_full_view(user: str = "shop", *, database: str = "orders", serving: int = 1) -> BouncerView:
    sample = a_bouncer_sample(
        {LOCAL: a_client(is_waiting=True, waits_s=3.0)},
        queues={(database, user): ClientQueue(6, 3.0)},
    )
    sample = replace(sample, serving={(database, user): serving})
    headroom = bouncer_headroom(SMALL, sample)
    return BouncerView(BOUNCER, up=True, known=a_bouncer(sample), headroom=headroom)


@pytest.mark.parametrize(
    ("view", "waiting"),
    [
        (a_full_view(), 6),
        (a_full_view("reports"), 0),
        (a_full_view(database="users"), 0),
        (a_full_view(serving=0), 0),
        (replace(a_full_view(serving=0), paused=frozenset({"orders"})), 6),
        (replace(a_full_view(), up=False), 0),
    ],
)
def test_the_queue_of_a_pools_own_role_and_database_counts_where_no_connection_is_free(
    view: BouncerView, waiting: int
) -> None:
    queue = view.full_queue({("orders", "shop")})
    assert (queue.waiting if queue else 0) == waiting


def test_every_role_counts_where_that_of_the_pool_is_not_known() -> None:
    assert a_full_view("reports").full_queue({("orders", "")}) == ClientQueue(6, 3.0)


def test_callers_that_open_connections_into_a_full_bouncer_find_the_server_side_full() -> None:
    fleet = Fleet()
    opening = a_point(
        catalogue.PENDING_AGE, 3.0, pool=BEHIND, attributes={catalogue.PHASE: "connect"}
    )
    points = pool_points(BEHIND, used=0, idle=0, pending=2)
    fleet.record_push(a_push(*points, opening), 104.0)
    [pool] = seen(a_full_view(), fleet).pools
    assert pool.diagnosis.diagnosis is Diagnosis.SERVER_FULL


@pytest.mark.parametrize(("database", "is_paused"), [("orders", True), ("users", False)])
def test_only_the_pause_of_the_pools_own_database_is_reported(
    database: str, is_paused: bool
) -> None:
    view = replace(a_full_view(), paused=frozenset({database}))
    fleet = Fleet()
    fleet.record_push(a_push(*pool_points(BEHIND, used=15, pending=2)), 104.0)
    [pool] = seen(view, fleet).pools
    assert pool.diagnosis.diagnosis is Diagnosis.SERVER_FULL
    assert any("paused" in reason for reason in pool.diagnosis.reasons) is is_paused


@pytest.mark.parametrize("namespace", ["orders", "something-else"])
def test_the_bouncers_own_name_of_the_database_counts_where_it_knows_the_client(
    namespace: str,
) -> None:
    pool = replace(BEHIND, db_namespace=namespace)
    checkout = replace(a_checkout(pool=pool), local=LOCAL, peer=BOUNCER_END)
    fleet = Fleet()
    held = (holding(checkout, pool=pool),)
    fleet.record_push(a_push(*pool_points(pool, used=15, pending=2), held=held), 104.0)
    [found] = seen(replace(a_full_view(), paused=frozenset({"orders"})), fleet).pools
    assert found.diagnosis.diagnosis is Diagnosis.SERVER_FULL
    assert any("is paused" in reason for reason in found.diagnosis.reasons)

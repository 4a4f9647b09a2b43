"""The picture of the moment: whom to ask about whom, every checkout judged, every pool told."""

from dataclasses import replace

import pytest

from poolscope.catalogue import Evidence
from poolscope_exporter.core.capacity.headroom import Headroom, headroom
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.linking.confirmation import Confirmations
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.servers import ServerLimits
from poolscope_exporter.core.model.sessions import IdleBlocker, Session, SessionState
from support.exporter.builders import (
    PID,
    SERVER,
    a_checkout,
    a_pool,
    a_push,
    a_server,
    a_session,
    holding,
    lock_waits,
    pool_points,
)

UP = ServerView(SERVER, up=True, identity=a_server())
DOWN = ServerView(SERVER, up=False, reason="refused", identity=a_server())
ALIAS = a_pool(name="alias", server_address="db.internal")


def a_fleet(*checkouts: Checkout, used: int = 1) -> Fleet:
    fleet = Fleet()
    fleet.record_push(
        a_push(*pool_points(used=used), held=(holding(*checkouts, pool=a_pool()),)), 100.0
    )
    return fleet


def confirmed(*answers: tuple[Checkout, Session]) -> Confirmations:
    confirmations = Confirmations()
    for checkout, session in answers:
        link = Link(LinkLevel.ADDRESS, SERVER, session, 100.0)
        confirmations.record_outcome(checkout.key, link, 100.0)
        confirmations.confirm_held(checkout.key, 105.0, 5.0)
    return confirmations


def judged(checkout: Checkout, *servers: ServerView) -> Judgement:
    confirmations = confirmed((checkout, a_session()))
    [judgement] = assess(a_fleet(checkout), confirmations, servers, 105.0).judgements
    return judgement


@pytest.mark.parametrize(
    ("servers", "link"),
    [
        ((), NoLink(Unlinked.NO_SERVER, None)),
        ((DOWN,), NoLink(Unlinked.SERVER_DOWN, SERVER)),
        ((ServerView(SERVER, up=False),), NoLink(Unlinked.SERVER_DOWN, SERVER)),
        (
            (ServerView("one", up=False), ServerView("two", up=False)),
            NoLink(Unlinked.SERVER_DOWN, None),
        ),
        (
            (ServerView("far", up=True, identity=a_server("far", Endpoint("192.0.2.1", 5432))),),
            NoLink(Unlinked.UNKNOWN_SERVER, None),
        ),
        (
            (UP, ServerView("twin", up=True, identity=a_server("twin"))),
            NoLink(Unlinked.AMBIGUOUS, None),
        ),
    ],
)
def test_what_no_server_can_be_asked_is_unknown_with_its_reason(
    servers: tuple[ServerView, ...], link: NoLink
) -> None:
    found = judged(a_checkout(), *servers)
    assert (found.link, found.verdict, found.reason) == (link, Verdict.UNKNOWN, link.reason)


@pytest.mark.parametrize(
    ("pid", "reason"), [(None, Unlinked.NO_BACKEND_PID), (5_000_000, Unlinked.POOLER)]
)
@pytest.mark.parametrize("view", [UP, DOWN])
def test_pid_that_no_backend_can_have_is_told_whether_the_server_is_up_or_not(
    pid: int | None, reason: Unlinked, view: ServerView
) -> None:
    assert judged(a_checkout(backend_pid=pid), view).link == NoLink(reason, SERVER)


def test_confirmed_answer_is_judged_while_its_server_is_up() -> None:
    found = judged(a_checkout(), UP)
    assert (found.verdict, found.confirmed) == (Verdict.HELD_IDLE, True)


def test_checkout_that_was_not_sampled_yet_says_of_which_server() -> None:
    [found] = assess(a_fleet(a_checkout()), Confirmations(), [UP], 101.0).judgements
    assert found.link == NoLink(Unlinked.NOT_SAMPLED, SERVER)
    assert found.verdict is Verdict.UNCONFIRMED


def test_server_that_was_never_reached_does_not_make_its_checkouts_unknown_servers() -> None:
    [found] = assess(
        a_fleet(a_checkout()), Confirmations(), [ServerView(SERVER, up=True)], 101.0
    ).judgements
    assert found.link == NoLink(Unlinked.NOT_SAMPLED, SERVER)


def test_lost_needs_a_path_that_was_proven() -> None:
    checkout = a_checkout()
    confirmations = Confirmations()
    confirmations.record_outcome(checkout.key, NoLink(Unlinked.NO_ROW, SERVER), 100.0)
    confirmations.confirm_held(checkout.key, 105.0, 5.0)
    fleet = a_fleet(checkout)
    assert assess(fleet, confirmations, [UP], 105.0).judgements[0].verdict is Verdict.UNKNOWN
    other = a_checkout(9, backend_pid=90)
    confirmations.link_history.record_link(other, Link(LinkLevel.AGE, SERVER, a_session(90), 90.0))
    assert assess(fleet, confirmations, [UP], 105.0).judgements[0].verdict is Verdict.LOST


def test_blocker_is_named_where_its_own_link_is_confirmed() -> None:
    waiting, holder = a_checkout(1), a_checkout(2, backend_pid=90)
    blocked = a_session(state=SessionState.ACTIVE, wait_event_type="Lock", blocked_by=(90,))
    fleet = a_fleet(waiting, holder)
    both = confirmed((waiting, blocked), (holder, a_session(90)))
    by_id = {j.checkout.id: j for j in assess(fleet, both, [UP], 105.0).judgements}
    assert by_id[1].blocked_by[0].checkout == holder
    one = confirmed((waiting, blocked))
    by_id = {j.checkout.id: j for j in assess(fleet, one, [UP], 105.0).judgements}
    assert by_id[1].blocked_by[0].checkout is None


def test_judgements_come_oldest_first() -> None:
    fleet = a_fleet(a_checkout(1, age_s=2.0), a_checkout(2, age_s=9.0), a_checkout(3, age_s=5.0))
    found = assess(fleet, Confirmations(), [UP], 101.0)
    assert [judgement.checkout.id for judgement in found.judgements] == [2, 3, 1]


def test_pool_is_diagnosed_by_its_own_checkouts() -> None:
    fleet = Fleet()
    reports: Pool = a_pool(name="reports")
    leak = a_checkout(1, evidence=Evidence.REQUEST_FINISHED)
    push = a_push(*pool_points(), *pool_points(reports), held=(holding(leak),))
    fleet.record_push(push, 100.0)
    found: Situation = assess(fleet, Confirmations(), [], 101.0)
    diagnoses = {state.pool.name: state.diagnosis.diagnosis for state in found.pools}
    assert diagnoses == {"orders": Diagnosis.LEAKING, "reports": Diagnosis.HEALTHY}
    assert found.taken_at_s == 101.0
    assert [state.is_live for state in found.instances] == [True]


LIMITS = ServerLimits(100, 3, 2, role_limits={"batch": 5})
SERVER_FULL = headroom(LIMITS, 95, {}, {})
ROLE_FULL = headroom(LIMITS, 40, {"batch": 5}, {})


@pytest.mark.parametrize(
    ("room", "up", "user", "is_full"),
    [
        (SERVER_FULL, True, "shop", True),
        (SERVER_FULL, False, "shop", False),
        (None, True, "shop", False),
        (ROLE_FULL, True, "batch", True),
        (ROLE_FULL, True, "shop", False),
    ],
)
def test_full_server_concerns_the_pools_that_the_limit_binds(
    room: Headroom | None, up: bool, user: str, is_full: bool
) -> None:
    view = ServerView(SERVER, up=up, identity=a_server(), headroom=room)
    checkout = a_checkout()
    confirmations = confirmed((checkout, a_session(user=user)))
    [pool] = assess(a_fleet(checkout), confirmations, [view], 105.0).pools
    assert (pool.diagnosis.diagnosis is Diagnosis.SERVER_FULL) is is_full


def test_full_database_concerns_its_pools_though_nothing_is_held() -> None:
    limits = ServerLimits(100, 3, 2, database_limits={"orders": 5})
    room = headroom(limits, 40, {}, {"orders": 5})
    view = ServerView(SERVER, up=True, identity=a_server(), headroom=room)
    fleet = Fleet()
    pool = a_pool(db_namespace="orders|public")
    fleet.record_push(a_push(*pool_points(pool)), 100.0)
    [state] = assess(fleet, Confirmations(), [view], 101.0).pools
    assert state.diagnosis.diagnosis is Diagnosis.SERVER_FULL


def test_pool_leads_to_the_server_of_its_address() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(*pool_points(), *pool_points(ALIAS)), 100.0)
    found = assess(fleet, Confirmations(), [UP], 101.0).pools
    assert {(state.pool, state.server, state.bouncer) for state in found} == {
        (a_pool(), SERVER, None),
        (ALIAS, None, None),
    }


def test_pool_with_an_alias_leads_where_its_last_link_went_though_nothing_is_held() -> None:
    confirmations, fleet = Confirmations(), Fleet()
    link = Link(LinkLevel.ADDRESS, SERVER, a_session(), 100.0)
    confirmations.link_history.record_link(a_checkout(pool=ALIAS), link)
    fleet.record_push(a_push(*pool_points(ALIAS)), 100.0)
    [state] = assess(fleet, confirmations, [UP], 101.0).pools
    assert state.server == SERVER


def test_pool_whose_connections_go_elsewhere_by_now_does_not_lead_to_its_last_link() -> None:
    confirmations, fleet = Confirmations(), Fleet()
    link = Link(LinkLevel.ADDRESS, SERVER, a_session(), 100.0)
    confirmations.link_history.record_link(a_checkout(pool=ALIAS), link)
    moved = a_checkout(pool=ALIAS, peer=Endpoint("192.0.2.1", 5432))
    fleet.record_push(a_push(*pool_points(ALIAS), held=(holding(moved, pool=ALIAS),)), 100.0)
    [state] = assess(fleet, confirmations, [UP], 101.0).pools
    assert state.server is None


def test_pool_leads_to_no_server_that_is_not_configured_now() -> None:
    confirmations, fleet = Confirmations(), Fleet()
    link = Link(LinkLevel.ADDRESS, "gone", a_session(), 100.0)
    confirmations.link_history.record_link(a_checkout(pool=ALIAS), link)
    fleet.record_push(a_push(*pool_points(ALIAS)), 100.0)
    [state] = assess(fleet, confirmations, [UP], 101.0).pools
    assert state.server is None


def test_a_root_blocker_is_named_by_the_pool_that_its_connection_belongs_to() -> None:
    waiting, last = a_checkout(1), a_checkout(2, backend_pid=90)
    blocked = a_session(
        state=SessionState.ACTIVE, wait_event_type="Lock", wait_event="advisory", blocked_by=(90,),
        idle_blockers=(IdleBlocker(90, 30.0),),
    )  # fmt: skip
    answers = confirmed((waiting, blocked))
    answers.link_history.record_link(last, Link(LinkLevel.ADDRESS, SERVER, a_session(90), 90.0))
    fleet = Fleet()
    fleet.record_push(
        a_push(held=(holding(waiting),), backend_pids={a_pool(): frozenset({PID, 90})}), 100.0
    )
    waits = lock_waits({PID: (90,), 90: ()}, blocked, a_session(90))
    up = replace(UP, lock_waits=waits)

    found = assess(fleet, answers, [up], 105.0)

    [root] = found.blockers
    assert (root.party.pid, root.party.idle_in, root.party.last) == (90, a_pool(), last)
    assert [each.party.checkout for each in root.queue] == [waiting]
    [blocker] = found.judgements[0].blocked_by
    assert (blocker.session, blocker.idle_in, blocker.last) == (a_session(90), a_pool(), last)
    assert assess(fleet, answers, [replace(up, up=False)], 105.0).blockers == ()

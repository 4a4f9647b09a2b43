"""Withholding: what may not be shown is counted, and so is what cannot be told to be showable."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import LockWaiter, RootBlocker
from poolscope_exporter.core.capacity.headroom import headroom
from poolscope_exporter.core.capacity.room_for_pods import RoomForPods
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.judging.visibility import of_own_pod, shown_only
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.bouncer_traffic import (
    BouncerTraffic,
    DatabaseTotals,
    LentConnections,
)
from poolscope_exporter.core.model.servers import ConfiguredServer, ServerLimits
from poolscope_exporter.core.model.session_groups import OwnerSessions, SessionGroups
from poolscope_exporter.core.model.sessions import SessionState
from support.exporter.builders import PEER, a_checkout, a_pool, a_session

HERE = frozenset({PEER})
ORDERS = ConfiguredServer("main", HERE, shown_databases=frozenset({"orders"}))
SHOP = ConfiguredServer("main", HERE, shown_roles=frozenset({"shop"}))


def a_judgement(link: Link | NoLink, *blockers: Blocker, checkout_id: int = 1) -> Judgement:
    checkout = a_checkout(checkout_id)
    return Judgement(checkout, 5.0, Verdict.WORKING, None, None, link, True, blockers)


def linked(database: str | None = "orders", user: str | None = "shop") -> Link:
    return Link(LinkLevel.ADDRESS, "main", a_session(database=database, user=user), 100.0)


def a_situation(*judgements: Judgement, view: ServerView | None = None) -> Situation:
    state = PoolAssessment(a_pool(), PoolNumbers(), PoolDiagnosis(Diagnosis.HEALTHY, ()))
    return Situation(judgements, (state,), (view,) if view else (), (), 100.0)


@pytest.mark.parametrize(
    ("link", "server", "is_shown"),
    [
        (linked(), ORDERS, True),
        (linked(), SHOP, True),
        (linked("salaries"), ORDERS, False),
        (linked(user="boss"), SHOP, False),
        (linked(None), ORDERS, False),
        (linked(user=None), SHOP, False),
        (linked("salaries"), ConfiguredServer("main", HERE), True),
        (
            linked("salaries"),
            ConfiguredServer("another", HERE, shown_databases=frozenset({"orders"})),
            True,
        ),
        (NoLink(Unlinked.NO_ROW, "main"), ORDERS, True),
        (NoLink(Unlinked.NO_ROW, "main"), SHOP, False),
        (NoLink(Unlinked.UNKNOWN_SERVER, None), SHOP, False),
    ],
)
def test_a_checkout_is_shown_where_its_session_may_be(
    link: Link | NoLink, server: ConfiguredServer, is_shown: bool
) -> None:
    shown = shown_only(a_situation(a_judgement(link)), [server])

    assert len(shown.judgements) == is_shown
    assert shown.withheld.checkouts == (not is_shown)


@pytest.mark.parametrize(("database", "is_shown"), [("orders", True), ("", False)])
def test_a_checkout_without_a_link_has_the_database_of_its_pool(
    database: str, is_shown: bool
) -> None:
    checkout = a_checkout(pool=a_pool(db_namespace=database))
    link = NoLink(Unlinked.NO_ROW, "main")
    judgement = Judgement(checkout, 5.0, Verdict.WORKING, None, None, link, True, ())

    assert bool(shown_only(a_situation(judgement), [ORDERS]).judgements) is is_shown


def test_a_pool_goes_with_its_sessions() -> None:
    shown = shown_only(a_situation(a_judgement(linked(user="boss"))), [SHOP])

    assert shown.pools == ()
    assert shown.withheld.pools == 1


def test_a_pool_of_another_database_is_not_named() -> None:
    salaries = ConfiguredServer("main", HERE, shown_databases=frozenset({"salaries"}))

    assert shown_only(a_situation(), [salaries]).pools == ()
    assert len(shown_only(a_situation(), [ORDERS]).pools) == 1


def test_a_blocker_that_may_not_be_shown_is_a_pid() -> None:
    blocker = a_judgement(linked(user="boss"), checkout_id=2)
    blocked = a_judgement(linked(), Blocker(98, blocker.checkout), Blocker(99, None))

    (shown,) = shown_only(a_situation(blocked, blocker), [SHOP]).judgements

    assert shown.blocked_by == (Blocker(98, None), Blocker(99, None))


@pytest.mark.parametrize(("role", "name"), [("shop", "shop"), ("boss", "")])
def test_the_tightest_limit_names_no_role_that_may_not_be_shown(role: str, name: str) -> None:
    limits = ServerLimits(100, 3, 0, role_limits={role: 5})
    view = ServerView("main", True, headroom=headroom(limits, 5, {role: 5}, {}))

    (shown,) = shown_only(a_situation(view=view), [SHOP]).servers

    assert shown.headroom is not None
    assert (shown.headroom.name, shown.headroom.free) == (name, 0)


def test_room_is_told_of_those_services_alone_of_which_a_pool_is_shown() -> None:
    shop, bank = (RoomForPods("acme", name, "pod", 1, 10, 2) for name in ("shop", "bank"))
    situation = a_situation(view=ServerView("main", up=True, room=(shop, bank)))
    assert shown_only(situation, [ORDERS]).servers[0].room == (shop,)
    assert of_own_pod(situation).servers[0].room == ()


def test_a_sidecar_leaves_out_the_server_and_keeps_the_diagnosis_that_it_is_full() -> None:
    full = PoolDiagnosis(Diagnosis.SERVER_FULL, ("no slot is free",))
    limits = ServerLimits(100, 3, 0)
    view = ServerView(
        "main",
        True,
        headroom=headroom(limits, 97, {}, {}),
        limits=limits,
        owners=OwnerSessions((), 97),
        session_groups=SessionGroups((), 97, 0),
    )
    state = PoolAssessment(a_pool(), PoolNumbers(), full)

    shown = of_own_pod(Situation((), (state,), (view,), (), 100.0))

    assert [each.diagnosis for each in shown.pools] == [full]
    (server,) = shown.servers
    assert (server.headroom, server.limits) == (None, None)
    assert (server.owners, server.session_groups) == (None, None)


def a_tree(root: LockParty, *waiters: LockParty) -> RootBlocker:
    queue = tuple(LockWaiter(each, root.pid, 1) for each in waiters)
    return RootBlocker("main", RootKind.HOLDER, root, queue)


def test_the_names_of_sessions_in_a_lock_queue_are_withheld_one_by_one() -> None:
    secret = a_session(10, database="salaries", user="boss", state=SessionState.IDLE)
    named = LockParty(10, secret, a_pool(name="pay"), None, a_checkout(9))
    waiter = LockParty(20, a_session(20), a_pool(), a_checkout(1))
    situation = replace(a_situation(a_judgement(linked())), blockers=(a_tree(named, waiter),))

    [shown] = shown_only(situation, [ORDERS]).blockers

    hidden = replace(secret, database=None, user=None, application_name="", client=None)
    assert shown.party == LockParty(10, hidden)
    assert shown.queue[0].party == waiter
    assert shown_only(situation, [ConfiguredServer("main", HERE)]).blockers == situation.blockers


def test_a_lock_queue_without_any_session_that_may_be_shown_is_withheld() -> None:
    foreign = a_session(10, database="salaries")
    tree = a_tree(LockParty(10, foreign), LockParty(20, replace(foreign, pid=20)))

    assert shown_only(replace(a_situation(), blockers=(tree,)), [ORDERS]).blockers == ()


def test_a_checkout_and_a_pool_that_are_withheld_are_not_named_in_a_lock_queue() -> None:
    hidden_pool = a_pool(name="pay", db_namespace="salaries")
    root = LockParty(10, a_session(10), hidden_pool, None, a_checkout(9, pool=hidden_pool))
    waiter = LockParty(20, a_session(20), a_pool(), a_checkout(7))
    situation = replace(a_situation(), blockers=(a_tree(root, waiter),))

    [shown] = shown_only(situation, [ORDERS]).blockers

    assert shown.party == LockParty(10, a_session(10))
    assert shown.queue[0].party == LockParty(20, a_session(20), a_pool())


@pytest.mark.parametrize(
    "blocker",
    [
        Blocker(99, None, session=a_session(99, database="salaries")),
        Blocker(99, None, idle_in=a_pool(name="pay", db_namespace="salaries")),
    ],
    ids=["session", "pool"],
)
def test_the_identity_of_a_foreign_blocker_is_withheld(blocker: Blocker) -> None:
    own = Blocker(98, None, idle_in=a_pool(), session=a_session(98))
    situation = a_situation(a_judgement(linked(), blocker, own))

    [judgement] = shown_only(situation, [ORDERS]).judgements

    assert judgement.blocked_by == (Blocker(99, None), own)


def test_a_sidecar_shows_the_lock_queues_in_which_its_own_pod_is() -> None:
    own = a_tree(LockParty(10, a_session(10)), LockParty(20, a_session(20), a_pool()))
    foreign = a_tree(LockParty(11, a_session(11)), LockParty(21, a_session(21)))

    assert of_own_pod(replace(a_situation(), blockers=(own, foreign))).blockers == (own,)


def test_the_use_of_a_pgbouncer_is_shown_of_databases_and_users_that_may_be() -> None:
    ours, foreign = LentConnections("orders", "shop"), LentConnections("salaries", "shop")
    totals = DatabaseTotals("orders"), DatabaseTotals("salaries")
    traffic = BouncerTraffic((ours, foreign, LentConnections("orders", "boss")), totals)
    view = BouncerView("bouncer", up=True, traffic=traffic)
    both = replace(ORDERS, shown_roles=frozenset({"shop"}))

    [shown] = shown_only(replace(a_situation(), bouncers=(view,)), [both]).bouncers
    [sidecar] = of_own_pod(replace(a_situation(), bouncers=(view,))).bouncers

    assert shown.traffic == BouncerTraffic((ours,), totals[:1])
    assert sidecar.traffic is None

"""Withholding: what may not be shown is counted, and so is what cannot be told to be showable."""

import pytest

from poolscope_exporter.core.capacity.headroom import headroom
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.judging.visibility import shown_only
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.servers import ConfiguredServer, ServerLimits
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

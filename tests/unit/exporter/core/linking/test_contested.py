"""One session has one holder: a link without the server's own word gives way."""

import pytest

from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.judging.assessment import assess
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.linking.confirmation import Confirmations
from poolscope_exporter.core.linking.contested import contested
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.sessions import SessionState
from support.exporter.builders import (
    SERVER,
    a_checkout,
    a_pool,
    a_push,
    a_server,
    a_session,
    an_instance,
    holding,
    pool_points,
)

ADDRESS, BOUNCER, AGE = LinkLevel.ADDRESS, LinkLevel.PGBOUNCER, LinkLevel.AGE
OTHER = a_pool(an_instance("shop-2"))
ELSEWHERE = Endpoint("10.9.9.9", 50_000)


def a_claim(
    level: LinkLevel,
    *,
    is_other: bool = False,
    local: Endpoint | None = ELSEWHERE,
    start_s: float | None = 1_000.0,
) -> tuple[Checkout, Link]:
    checkout = a_checkout(pool=OTHER if is_other else a_pool(), local=local)
    return checkout, Link(level, SERVER, a_session(backend_start_s=start_s), 100.0)


@pytest.mark.parametrize(
    ("first", "second", "disputed"),
    [
        (ADDRESS, AGE, (False, True)),
        (BOUNCER, AGE, (False, True)),
        (AGE, AGE, (True, True)),
        (BOUNCER, BOUNCER, (False, False)),
        (ADDRESS, ADDRESS, (False, False)),
        (ADDRESS, BOUNCER, (False, False)),
    ],
)
def test_link_by_age_gives_way_to_any_other_connection(
    first: LinkLevel, second: LinkLevel, disputed: tuple[bool, bool]
) -> None:
    claims = [
        a_claim(first, local=Endpoint("10.1.1.1", 40_000)),
        a_claim(second, is_other=True),
    ]
    for order in (claims, claims[::-1]):
        found = contested(order)
        assert tuple(checkout.key in found for checkout, _ in claims) == disputed


def test_fork_that_shares_a_connection_contests_nothing() -> None:
    assert not contested([a_claim(AGE), a_claim(AGE, is_other=True)])


def test_connection_without_an_address_cannot_be_one_with_another() -> None:
    claims = [a_claim(AGE, local=None), a_claim(AGE, is_other=True, local=None)]
    assert len(contested(claims)) == 2


def test_session_that_began_later_is_another_one_with_the_same_pid() -> None:
    later = a_claim(AGE, is_other=True, local=None, start_s=2_000.0)
    assert not contested([a_claim(ADDRESS), later])


def test_claim_of_a_strangers_session_accuses_nobody() -> None:
    """A process lists a checkout with the pid of a session that another process holds."""
    fleet, confirmations = Fleet(), Confirmations()
    idle = a_session(state=SessionState.IDLE_IN_TRANSACTION, state_age_s=60.0)
    for instance, level, port in (("shop-1", ADDRESS, 40_000), ("shop-2", AGE, 50_000)):
        pool = a_pool(an_instance(instance))
        checkout = a_checkout(pool=pool, local=Endpoint("10.0.0.1", port))
        push = a_push(
            *pool_points(pool), instance=pool.instance, held=(holding(checkout, pool=pool),)
        )
        fleet.record_push(push, 100.0)
        confirmations.record_outcome(checkout.key, Link(level, SERVER, idle, 100.0), 100.0)
        confirmations.confirm_held(checkout.key, 105.0, 5.0)
    view = ServerView(SERVER, up=True, identity=a_server())
    judgements = assess(fleet, confirmations, [view], 105.0).judgements
    found = {each.checkout.pool.instance.id: each for each in judgements}
    assert found["shop-1"].verdict is Verdict.IDLE_IN_TRANSACTION
    assert found["shop-2"].verdict is Verdict.UNKNOWN
    assert found["shop-2"].link == NoLink(Unlinked.CONTESTED, SERVER)
    assert found["shop-2"].reason == "contested"

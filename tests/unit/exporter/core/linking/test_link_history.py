"""What was linked once is known later: the session of a connection, the path of a pool."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.linking import link_history as module
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.linking.link_history import LinkHistory
from poolscope_exporter.core.model.endpoints import Endpoint
from support.exporter.builders import (
    BACKEND_START_S,
    SERVER,
    a_checkout,
    a_pool,
    a_session,
    an_instance,
)

LINK = Link(LinkLevel.ADDRESS, SERVER, a_session(), 100.0)
LATER = Link(LinkLevel.AGE, SERVER, a_session(backend_start_s=BACKEND_START_S + 9), 200.0)


def test_connection_keeps_the_first_session_it_was_linked_to() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(1), LINK)
    link_history.record_link(a_checkout(2), LATER)
    assert link_history.first_session_start_s(a_checkout(3)) == BACKEND_START_S


def test_another_connection_with_the_same_pid_has_no_pin() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), LINK)
    assert (
        link_history.first_session_start_s(a_checkout(local=Endpoint("10.0.0.7", 50_003))) is None
    )
    assert (
        link_history.first_session_start_s(a_checkout(pool=a_pool(an_instance("shop-2")))) is None
    )


def test_one_link_proves_the_path_of_its_pool_alone() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), LINK)
    assert link_history.is_proven(a_pool())
    assert not link_history.is_proven(a_pool(name="reports"))


def test_pin_goes_when_nobody_holds_the_connection_and_the_proof_stays() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), LINK)
    link_history.expire_links([], [an_instance()])
    assert link_history.first_session_start_s(a_checkout()) is None
    assert link_history.is_proven(a_pool())


def test_what_a_process_was_linked_to_stays_while_it_is_only_silent() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), LINK)
    link_history.expire_links([], [], [an_instance()])
    link_history.break_links(SERVER)
    assert link_history.is_proven(a_pool())
    assert link_history.is_broken(a_checkout())
    link_history.expire_links([], [], [an_instance("shop-2")])
    assert not link_history.is_proven(a_pool())
    assert not link_history.is_broken(a_checkout())


def test_proof_goes_with_the_process() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), LINK)
    link_history.expire_links([], [])
    assert not link_history.is_proven(a_pool())


def test_connection_through_a_bouncer_proves_its_pool_and_keeps_no_session() -> None:
    link_history = LinkHistory()
    checkout = a_checkout()
    link_history.record_link(
        checkout, Link(LinkLevel.PGBOUNCER, SERVER, a_session(), 100.0, "bouncer")
    )
    assert link_history.is_proven(checkout.pool)
    assert link_history.first_session_start_s(checkout) is None


def test_last_link_of_a_pool_stays_until_its_process_is_gone() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(1), LINK)
    link_history.record_link(a_checkout(2), LATER)
    link_history.expire_links([], [an_instance()])
    assert link_history.last_link(a_pool()) == LATER
    link_history.drop_links(an_instance())
    assert link_history.last_link(a_pool()) is None


def test_a_session_keeps_its_last_checkout_after_that_ended() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(1), LINK)
    link_history.record_link(a_checkout(2), LINK)
    link_history.expire_links([], [an_instance()])

    assert link_history.last_checkout(SERVER, LINK.session) == a_checkout(2)


def test_a_reused_pid_another_server_and_an_unknown_start_have_no_last_checkout() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), LINK)

    assert link_history.last_checkout(SERVER, LATER.session) is None
    assert link_history.last_checkout("other", LINK.session) is None
    assert link_history.last_checkout(SERVER, a_session(backend_start_s=None)) is None


def test_a_session_behind_a_pgbouncer_has_no_last_checkout() -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), replace(LINK, level=LinkLevel.PGBOUNCER))

    assert link_history.last_checkout(SERVER, LINK.session) is None


@pytest.mark.parametrize("is_restart", [False, True])
def test_the_last_checkouts_of_a_process_go_with_it(*, is_restart: bool) -> None:
    link_history = LinkHistory()
    link_history.record_link(a_checkout(), LINK)
    if is_restart:
        link_history.drop_links(an_instance())
    else:
        link_history.expire_links([], [], [an_instance("shop-2")])

    assert link_history.last_checkout(SERVER, LINK.session) is None


def test_the_number_of_sessions_with_a_last_checkout_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    link_history = LinkHistory()
    sessions = [a_session(pid) for pid in (1, 2, 3)]
    for each in sessions:
        link_history.record_link(a_checkout(), replace(LINK, session=each))

    known = [link_history.last_checkout(SERVER, each) is not None for each in sessions]
    assert known == [False, True, True]

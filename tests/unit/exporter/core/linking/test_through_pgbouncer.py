"""Behind a PgBouncer the session is found by sockets: the pid that the app was told is invented."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.linking.destination import choose_place, choose_session_server
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.linking.through_pgbouncer import client_route, link_through
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerClient, BouncerServer
from poolscope_exporter.core.model.sessions import Session, SessionState
from support.exporter.builders import (
    BOUNCER,
    BOUNCER_END,
    LOCAL,
    PEER,
    PID,
    SERVER,
    a_bouncer,
    a_bouncer_sample,
    a_bouncer_server,
    a_checkout,
    a_client,
    a_hidden_session,
    a_pool,
    a_sample,
    a_server,
    a_session,
)

INVENTED_PIDS = [-2_090_812_488, 1_022_840_197, PID, None]
UNIX = Endpoint("unix", PEER.port)


def behind(**described: object) -> Checkout:
    """Return a checkout whose peer is the bouncer."""
    return replace(a_checkout(peer=BOUNCER_END), **described)  # type: ignore[arg-type]


def routed(client: BouncerClient | None, *, seen: bool = False) -> BouncerServer | NoLink:
    clients = {LOCAL: client} if client else {}
    sample = a_bouncer_sample(clients, {"s1": a_bouncer_server()})
    return client_route(behind(), a_bouncer(sample, seen=[LOCAL] if seen else []))


@pytest.mark.parametrize("pid", INVENTED_PIDS)
def test_peer_decides_that_a_checkout_goes_through_a_bouncer_whatever_its_pid(
    pid: int | None,
) -> None:
    bouncer = a_bouncer()
    assert choose_place(behind(backend_pid=pid), [a_server()], [bouncer]) == bouncer


def test_checkout_with_the_server_for_its_peer_goes_there_directly() -> None:
    sample = a_bouncer_sample({LOCAL: a_client()})
    assert choose_place(a_checkout(), [a_server()], [a_bouncer(sample)]) == a_server()


def test_configured_address_names_the_bouncer_where_the_peer_is_unknown() -> None:
    pool = a_pool(server_address="bouncer.internal", server_port=6432)
    checkout = a_checkout(pool=pool, peer=Endpoint("10.9.9.9", 6432))
    bouncer = a_bouncer(None, Endpoint("bouncer.internal", 6432))
    assert choose_place(checkout, [a_server()], [bouncer]) == bouncer


def test_bouncer_behind_a_balancer_is_found_by_its_client() -> None:
    checkout = a_checkout(peer=Endpoint("10.96.0.1", 6432))
    empty = a_bouncer(a_bouncer_sample(), name="empty")
    holding = a_bouncer(a_bouncer_sample({LOCAL: a_client()}), Endpoint("10.0.0.3", 6432))
    assert choose_place(checkout, [a_server()], [empty, holding]) == holding


def test_client_on_loopback_proves_nothing_for_it_is_another_machine_for_everybody() -> None:
    here = Endpoint("127.0.0.1", LOCAL.port)
    checkout = a_checkout(local=here, peer=Endpoint("127.0.0.1", 6432), pool=a_pool())
    bouncer = a_bouncer(a_bouncer_sample({here: a_client()}))
    assert choose_place(checkout, [a_server()], [bouncer]) == a_server()


@pytest.mark.parametrize("holders", [0, 1, 2])
def test_of_several_bouncers_at_one_address_the_one_that_has_the_client_is_meant(
    holders: int,
) -> None:
    bouncers = [
        a_bouncer(a_bouncer_sample({LOCAL: a_client()} if n < holders else {}), name=f"b{n}")
        for n in range(3)
    ]
    expected = bouncers[0] if holders == 1 else NoLink(Unlinked.AMBIGUOUS, None)
    assert choose_place(behind(), [], bouncers) == expected


def test_client_leads_to_its_server_connection() -> None:
    assert routed(a_client("s1")) == a_bouncer_server()


def test_client_is_found_under_any_spelling_of_its_address() -> None:
    sample = a_bouncer_sample({LOCAL: a_client("s1")}, {"s1": a_bouncer_server()})
    mapped = Endpoint(f"::ffff:{LOCAL.address}", LOCAL.port)
    assert client_route(behind(local=mapped), a_bouncer(sample)) == a_bouncer_server()


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (a_client(), Unlinked.IDLE_IN_POOLER),
        (a_client(is_waiting=True), Unlinked.WAITING_IN_POOLER),
        (a_client("not-listed"), Unlinked.NOT_SAMPLED),
        (None, Unlinked.NO_CLIENT),
    ],
)
def test_client_that_has_no_server_connection_says_why(
    client: BouncerClient | None, reason: Unlinked
) -> None:
    route = routed(client)
    assert isinstance(route, NoLink)
    assert (route.reason, route.server, route.bouncer) == (reason, None, BOUNCER)


def test_waiting_client_tells_how_long() -> None:
    assert routed(a_client(is_waiting=True, waits_s=2.5)) == NoLink(
        Unlinked.WAITING_IN_POOLER, None, BOUNCER, 2.5
    )


def test_connection_that_was_a_client_before_is_gone_and_not_merely_unknown() -> None:
    assert routed(None, seen=True) == NoLink(Unlinked.CLIENT_GONE, None, BOUNCER)


def test_bouncer_that_does_not_answer_and_checkout_without_an_address_are_told() -> None:
    assert client_route(behind(), a_bouncer()) == NoLink(Unlinked.POOLER_DOWN, None, BOUNCER)
    without = client_route(behind(local=None), a_bouncer(a_bouncer_sample()))
    assert without == NoLink(Unlinked.NO_WITNESS, None, BOUNCER)


def test_server_connection_leads_to_the_server_with_its_address() -> None:
    other = a_server("other", Endpoint("10.0.0.9", 5432))
    servers = [a_server(), other]
    assert choose_session_server(a_bouncer_server(), BOUNCER, servers) == a_server()


def test_server_connection_over_a_unix_socket_leads_to_the_server_with_its_port() -> None:
    other = a_server("other", Endpoint("10.0.0.1", 5433))
    connection = a_bouncer_server(remote=UNIX, local_port=None)
    assert choose_session_server(connection, BOUNCER, [other, a_server()]) == a_server()


@pytest.mark.parametrize(
    ("connection", "servers", "missed"),
    [
        (a_bouncer_server(), [], (Unlinked.NO_SERVER, None)),
        (
            a_bouncer_server(remote=Endpoint("192.0.2.1", 5432)),
            [a_server()],
            (Unlinked.UNKNOWN_SERVER, None),
        ),
        (
            a_bouncer_server(1_022_840_197, remote=Endpoint("192.0.2.1", 6432)),
            [a_server()],
            (Unlinked.POOLER, None),
        ),
        (a_bouncer_server(), [a_server("a"), a_server("b")], (Unlinked.AMBIGUOUS, None)),
        (a_bouncer_server(0), [a_server()], (Unlinked.POOLER, SERVER)),
        (a_bouncer_server(-17), [a_server()], (Unlinked.POOLER, SERVER)),
        (a_bouncer_server(5_000_000), [a_server()], (Unlinked.POOLER, SERVER)),
    ],
)
def test_server_connection_that_leads_nowhere_says_why(
    connection: BouncerServer, servers: list[object], missed: tuple[Unlinked, str | None]
) -> None:
    found = choose_session_server(connection, BOUNCER, servers)  # type: ignore[arg-type]
    assert isinstance(found, NoLink)
    assert (found.reason, found.server) == missed


def linked(
    session: Session, connection: BouncerServer | None = None, asked_after_s: float = 0.01
) -> Link | NoLink:
    via = a_bouncer_sample(taken_at_s=100.0)
    sample = a_sample(session, taken_at_s=100.0 + asked_after_s)
    return link_through(connection or a_bouncer_server(), via, sample)


def test_pid_of_the_bouncer_and_the_port_that_the_server_sees_are_a_link() -> None:
    session = a_session()
    assert linked(session) == Link(LinkLevel.PGBOUNCER, SERVER, session, 100.01, BOUNCER)


def test_address_translated_between_bouncer_and_server_does_not_matter() -> None:
    session = a_session(client=Endpoint("192.0.2.7", LOCAL.port))
    assert isinstance(linked(session), Link)


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        (a_session(client=Endpoint(LOCAL.address, LOCAL.port + 1)), Unlinked.NO_WITNESS),
        (a_session(client=None), Unlinked.NO_WITNESS),
        (a_hidden_session(), Unlinked.NO_PRIVILEGE),
        (a_session(PID + 1), Unlinked.NOT_SAMPLED),
    ],
)
def test_session_without_its_second_witness_is_no_link(session: Session, reason: Unlinked) -> None:
    assert linked(session) == NoLink(reason, SERVER, BOUNCER)


def test_pid_that_the_server_does_not_know_has_no_row() -> None:
    found = link_through(a_bouncer_server(), a_bouncer_sample(), a_sample(asked=[PID]))
    assert found == NoLink(Unlinked.NO_ROW, SERVER, BOUNCER)


@pytest.mark.parametrize(
    ("session", "is_link"),
    [
        (a_session(client=None, user="shop"), True),
        (a_session(client=None, user="other"), False),
        (a_session(client=LOCAL, user="shop"), False),
    ],
)
def test_over_a_unix_socket_the_role_and_the_missing_address_are_the_witness(
    session: Session, is_link: bool
) -> None:
    connection = a_bouncer_server(remote=UNIX, local_port=None)
    assert isinstance(linked(session, connection), Link) is is_link


IN_TRANSACTION = SessionState.IDLE_IN_TRANSACTION


@pytest.mark.parametrize(
    ("xact_age_s", "state_age_s", "is_link"),
    [
        (0.149, 30.0, False),
        (0.151, 0.0, True),
        (None, 0.149, False),
        (None, 0.151, True),
        (None, None, True),
    ],
)
def test_session_that_began_something_since_the_bouncer_was_asked_may_be_anothers_by_now(
    xact_age_s: float | None, state_age_s: float | None, is_link: bool
) -> None:
    session = a_session(state=IN_TRANSACTION, xact_age_s=xact_age_s, state_age_s=state_age_s)
    found = linked(session, asked_after_s=0.1)
    moved_on = NoLink(Unlinked.MOVED_ON, SERVER, BOUNCER)
    assert isinstance(found, Link) if is_link else found == moved_on


def test_server_that_was_asked_before_the_bouncer_says_nothing() -> None:
    assert linked(a_session(), asked_after_s=-0.01) == NoLink(Unlinked.NOT_SAMPLED, SERVER, BOUNCER)

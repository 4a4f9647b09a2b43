"""A checkout is linked by pid and a second witness, to the right server, or not at all."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.linking.destination import choose_server
from poolscope_exporter.core.linking.link import MAX_PID, Link, LinkLevel, NoLink, Unlinked, link
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.sessions import Session, SessionSample
from support.exporter.builders import (
    BACKEND_START_S,
    LOCAL,
    PEER,
    PID,
    SERVER,
    a_checkout,
    a_hidden_session,
    a_pool,
    a_sample,
    a_server,
    a_session,
)

HEARD_AT_S = 100.0
ELSEWHERE = Endpoint("192.0.2.9", 1)


def linked(session: Session, **checkout: object) -> Link | NoLink:
    described = replace(a_checkout(), **checkout)  # type: ignore[arg-type]
    return link(described, HEARD_AT_S, a_sample(session), server=SERVER)


def test_pid_with_the_applications_own_address_is_a_link() -> None:
    session = a_session()
    outcome = link(a_checkout(), HEARD_AT_S, a_sample(session, taken_at_s=101.0), server=SERVER)
    assert outcome == Link(LinkLevel.ADDRESS, SERVER, session, 101.0)


@pytest.mark.parametrize(
    ("backend_age_s", "connection_age_s"), [(None, None), (60.0, None), (None, 60.0)]
)
def test_pid_alone_never_links(backend_age_s: float | None, connection_age_s: float | None) -> None:
    session = a_session(client=None, backend_age_s=backend_age_s)
    outcome = linked(session, local=None, connection_age_s=connection_age_s)
    assert outcome == NoLink(Unlinked.NO_WITNESS, SERVER)


@pytest.mark.parametrize(
    ("local", "client"),
    [
        (Endpoint("::ffff:10.0.0.7", 50_002), Endpoint("10.0.0.7", 50_002)),
        (Endpoint("FE80::1%eth0", 50_002), Endpoint("fe80::1", 50_002)),
        (Endpoint("::1", 50_002), Endpoint("127.0.0.1", 50_002)),
    ],
)
def test_two_spellings_of_an_address_are_one_address(local: Endpoint, client: Endpoint) -> None:
    outcome = linked(a_session(client=client, backend_age_s=None), local=local)
    assert isinstance(outcome, Link)
    assert outcome.level is LinkLevel.ADDRESS


@pytest.mark.parametrize("client", [Endpoint(LOCAL.address, LOCAL.port + 1), ELSEWHERE, None])
def test_age_links_where_the_address_does_not(client: Endpoint | None) -> None:
    outcome = linked(a_session(client=client, backend_age_s=60.5))
    assert isinstance(outcome, Link)
    assert outcome.level is LinkLevel.AGE


@pytest.mark.parametrize(
    ("backend_age_s", "expected"),
    [
        (58.99, Unlinked.PID_REUSED),
        (59.0, LinkLevel.AGE),
        (59.01, LinkLevel.AGE),
        (62.99, LinkLevel.AGE),
        (63.0, LinkLevel.AGE),
        (63.01, Unlinked.NO_WITNESS),
    ],
)
def test_age_tolerance_is_one_second_younger_and_three_older(
    backend_age_s: float, expected: LinkLevel | Unlinked
) -> None:
    outcome = linked(a_session(client=ELSEWHERE, backend_age_s=backend_age_s))
    assert (outcome.level if isinstance(outcome, Link) else outcome.reason) is expected


@pytest.mark.parametrize(("taken_at_s", "backend_age_s"), [(130.0, 90.0), (95.0, 55.0)])
def test_connection_ages_between_the_push_and_the_sample(
    taken_at_s: float, backend_age_s: float
) -> None:
    sample = a_sample(a_session(client=None, backend_age_s=backend_age_s), taken_at_s=taken_at_s)
    assert isinstance(link(a_checkout(), HEARD_AT_S, sample, server=SERVER), Link)


def test_address_links_whatever_the_age() -> None:
    outcome = linked(a_session(backend_age_s=3600.0))
    assert isinstance(outcome, Link)
    assert outcome.level is LinkLevel.ADDRESS


@pytest.mark.parametrize(
    ("pid", "reason"),
    [
        (None, Unlinked.NO_BACKEND_PID),
        (-1, Unlinked.POOLER),
        (0, Unlinked.POOLER),
        (1, Unlinked.NOT_SAMPLED),
        (MAX_PID, Unlinked.NOT_SAMPLED),
        (MAX_PID + 1, Unlinked.POOLER),
    ],
)
def test_pid_that_no_backend_can_have_is_told_apart(pid: int | None, reason: Unlinked) -> None:
    outcome = link(a_checkout(backend_pid=pid), HEARD_AT_S, None, server=SERVER)
    assert outcome == NoLink(reason, SERVER)


def test_pid_that_was_not_asked_for_is_not_missing() -> None:
    outcome = link(a_checkout(), HEARD_AT_S, a_sample(asked=[PID + 1]), server=SERVER)
    assert outcome == NoLink(Unlinked.NOT_SAMPLED, SERVER)


def test_pid_that_was_asked_for_in_vain_has_no_row() -> None:
    outcome = link(a_checkout(), HEARD_AT_S, a_sample(asked=[PID]), server=SERVER)
    assert outcome == NoLink(Unlinked.NO_ROW, SERVER)


def test_query_that_the_server_refuses_is_a_matter_of_privilege() -> None:
    refused = replace(a_sample(asked=[PID]), is_refused=True)
    outcome = link(a_checkout(), HEARD_AT_S, refused, server=SERVER)
    assert outcome == NoLink(Unlinked.NO_PRIVILEGE, SERVER)


def test_hidden_row_is_a_matter_of_privilege() -> None:
    assert linked(a_hidden_session()) == NoLink(Unlinked.NO_PRIVILEGE, SERVER)


@pytest.mark.parametrize("client", [LOCAL, None])
def test_session_that_started_anew_under_a_linked_pid_is_another(client: Endpoint | None) -> None:
    sample = a_sample(a_session(client=client))
    session_start_s = BACKEND_START_S - 0.000_001
    outcome = link(a_checkout(), HEARD_AT_S, sample, server=SERVER, session_start_s=session_start_s)
    assert outcome == NoLink(Unlinked.PID_REUSED, SERVER)
    again = link(a_checkout(), HEARD_AT_S, sample, server=SERVER, session_start_s=BACKEND_START_S)
    assert isinstance(again, Link)


def test_hidden_row_of_a_linked_pid_is_not_called_reused() -> None:
    sample: SessionSample = a_sample(a_hidden_session())
    outcome = link(a_checkout(), HEARD_AT_S, sample, server=SERVER, session_start_s=BACKEND_START_S)
    assert outcome == NoLink(Unlinked.NO_PRIVILEGE, SERVER)


def test_without_servers_none_can_be_asked() -> None:
    assert choose_server(a_checkout(), []) == NoLink(Unlinked.NO_SERVER, None)


def test_peer_of_the_socket_decides_over_the_configured_address() -> None:
    peers, configured = a_server("peers", PEER), a_server("configured", ELSEWHERE)
    pool = a_pool(server_address=ELSEWHERE.address, server_port=ELSEWHERE.port)
    assert choose_server(a_checkout(pool=pool), [configured, peers]) == peers


@pytest.mark.parametrize("peer", [None, Endpoint("10.9.9.9", 5432)])
def test_configured_address_decides_where_the_peer_is_unknown(peer: Endpoint | None) -> None:
    server = a_server("main", Endpoint("db.internal", 5432))
    pool = a_pool(server_address="DB.internal.", server_port=5432)
    assert choose_server(a_checkout(pool=pool, peer=peer), [server]) == server


@pytest.mark.parametrize(
    ("address", "port", "known", "matches"),
    [
        ("localhost", 5432, Endpoint("127.0.0.1", 5432), True),
        ("::1", 5432, Endpoint("localhost", 5432), True),
        ("::ffff:10.0.0.1", 5432, Endpoint("10.0.0.1", 5432), True),
        ("[::1]", 5432, Endpoint("::1", 5432), True),
        ("127.0.0.2", 5432, Endpoint("127.0.0.1", 5432), False),
        ("10.0.0.1", 5433, Endpoint("10.0.0.1", 5432), False),
        ("10.0.0.1", 0, Endpoint("10.0.0.1", 5432), True),
        ("/run/postgresql", 5432, Endpoint("/run/postgresql", 5432), True),
        ("", 5432, Endpoint("10.0.0.1", 5432), False),
    ],
)
def test_server_is_found_under_any_spelling_of_its_address(
    address: str, port: int, known: Endpoint, matches: bool
) -> None:
    pool = a_pool(server_address=address, server_port=port)
    outcome = choose_server(a_checkout(pool=pool, peer=None), [a_server("main", known)])
    expected = a_server("main", known) if matches else NoLink(Unlinked.UNKNOWN_SERVER, None)
    assert outcome == expected


def test_two_servers_under_one_address_are_ambiguous() -> None:
    outcome = choose_server(a_checkout(), [a_server("one"), a_server("two")])
    assert outcome == NoLink(Unlinked.AMBIGUOUS, None)

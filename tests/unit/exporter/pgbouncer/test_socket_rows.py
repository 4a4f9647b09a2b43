"""SHOW SOCKETS of several versions, read by column name, says the same thing."""

from typing import Any

import pytest

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import (
    BouncerClient,
    BouncerSample,
    BouncerServer,
    ClientQueue,
    ClientState,
    socket_of,
)
from poolscope_exporter.pgbouncer.rows import sample_of, shares_its_port, timeouts_of

V1_15 = [
    "type", "user", "database", "state", "addr", "port", "local_addr", "local_port",
    "connect_time", "request_time", "wait", "wait_us", "close_needed", "ptr", "link",
    "remote_pid", "tls", "recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain",
    "pkt_avail", "send_avail",
]  # fmt: skip
V1_18 = [
    "type", "user", "database", "state", "addr", "port", "local_addr", "local_port",
    "connect_time", "request_time", "wait", "wait_us", "close_needed", "ptr", "link",
    "remote_pid", "tls", "application_name", "recv_pos", "pkt_pos", "pkt_remain", "send_pos",
    "send_remain", "pkt_avail", "send_avail",
]  # fmt: skip
V1_21 = [*V1_18[:18], "prepared_statements", *V1_18[18:]]
V1_23 = [*V1_21[:3], "replication", *V1_21[3:]]
V1_24 = [*V1_23[:20], "id", *V1_23[20:]]

APP = ("10.0.0.7", 50_002)
BOUNCER = ("10.0.0.2", 6432)
LISTENED = ("10.0.0.2", 36_848)
SERVER = ("10.0.0.1", 5432)
CLIENT, SERVED = ("C", "cl_active"), ("S", "sv_active")


def a_row(
    kind: tuple[str, str] = CLIENT,
    addr: tuple[str, int] = APP,
    local: tuple[str, int] = BOUNCER,
    **values: Any,
) -> dict[str, Any]:
    """Return the values of a socket, whatever the columns of a version."""
    return {
        "type": kind[0], "state": kind[1], "addr": addr[0], "port": addr[1],
        "local_addr": local[0], "local_port": local[1], "user": "shop", "database": "orders",
        "request_time": "2026-01-01 12:00:00 UTC", "wait": 0, "wait_us": 0, "ptr": "0xc1",
        "link": "", "remote_pid": 0, "replication": "none", "id": 7, **values,
    }  # fmt: skip


def in_version(columns: list[str], *rows: dict[str, Any]) -> BouncerSample:
    """Return the sample of rows with the columns of a version, in its order."""
    shaped = [{name: row.get(name, "") for name in columns} for row in rows]
    return sample_of("bouncer", shaped, 100.0, 100.1)


@pytest.mark.parametrize("columns", [V1_15, V1_18, V1_21, V1_23, V1_24])
def test_client_and_its_server_are_found_whatever_the_version(columns: list[str]) -> None:
    assert len(columns) == len(set(columns))
    sample = in_version(
        columns,
        a_row(link="0x5e"),
        a_row(SERVED, SERVER, LISTENED, ptr="0x5e", link="0xc1", remote_pid=28_844),
    )
    client = BouncerClient(
        ClientState.ACTIVE, "0x5e", "2026-01-01 12:00:00 UTC", 0.0, "shop", "orders"
    )
    assert sample.clients == {socket_of(Endpoint(*APP)): client}
    assert sample.servers == {"0x5e": BouncerServer(Endpoint(*SERVER), 36_848, 28_844, "shop")}
    assert sample.addresses == {Endpoint(*BOUNCER)}
    assert sample.queues == {}
    assert (sample.taken_at_s, sample.answered_at_s) == (100.0, 100.1)


@pytest.mark.parametrize(
    ("state", "link", "expected"),
    [
        ("cl_active", "0x5e", ClientState.ACTIVE),
        ("cl_active", "", ClientState.IDLE),  # up to 1.24
        ("cl_idle", "", ClientState.IDLE),  # from 1.25 on
        ("cl_waiting", "", ClientState.WAITING),
        ("cl_waiting_login", "", ClientState.WAITING),
        ("cl_of_tomorrow", "", ClientState.IDLE),
    ],
)
def test_state_of_a_client_is_what_it_has(state: str, link: str, expected: ClientState) -> None:
    sample = in_version(V1_18, a_row(("C", state), link=link))
    assert [client.state for client in sample.clients.values()] == [expected]
    assert sample.counts == {each: int(each is expected) for each in ClientState}


def test_wait_is_seconds_with_their_fraction() -> None:
    [client] = in_version(
        V1_18, a_row(("C", "cl_waiting"), wait=1, wait_us=201_862)
    ).clients.values()
    assert client.waits_s == 1.201862


def test_clients_of_the_console_are_no_applications() -> None:
    sample = in_version(V1_18, a_row(database="pgbouncer"))
    assert sample.clients == {}
    assert sum(sample.counts.values()) == 0
    assert sample.total_clients == 1  # and yet they count against max_client_conn


def test_server_connections_serve_whom_they_are_linked_to() -> None:
    rows = [a_row(SERVED, link=link, ptr=f"0x{n}") for n, link in enumerate(("0xc1", "", "0xc2"))]
    rows.append(a_row(("S", "sv_idle"), user="reports", ptr="0x9"))
    sample = in_version(V1_18, *rows)
    assert sample.serving == {("orders", "shop"): 2, ("orders", "reports"): 0}


def test_client_over_a_unix_socket_is_counted_and_cannot_be_named() -> None:
    unix = ("unix", 6432)
    sample = in_version(V1_18, a_row(addr=unix, local=unix))
    assert (sample.clients, sample.addresses) == ({}, frozenset())
    assert sample.counts[ClientState.IDLE] == 1


def test_server_over_a_unix_socket_has_no_port_of_our_side() -> None:
    row = a_row(SERVED, ("unix", 5432), ("unix", 6432), ptr="0x5e", remote_pid=26_061)
    expected = BouncerServer(Endpoint("unix", 5432), None, 26_061, "shop")
    assert in_version(V1_18, row).servers == {"0x5e": expected}


def test_loopback_is_not_learned_as_an_address_of_the_bouncer() -> None:
    assert in_version(V1_18, a_row(local=("127.0.0.1", 6432))).addresses == frozenset()


def test_column_that_lacks_is_named() -> None:
    with pytest.raises(KeyError, match="remote_pid"):
        in_version([name for name in V1_18 if name != "remote_pid"], a_row(SERVED, SERVER))


def config(**settings: str) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in settings.items()]


def test_time_outs_are_those_that_end_connections_and_0_is_none() -> None:
    rows = config(client_idle_timeout="0", server_idle_timeout="600", listen_port="6432")
    assert timeouts_of(rows) == {"client_idle_timeout": 0.0, "server_idle_timeout": 600.0}


@pytest.mark.parametrize(("value", "shares"), [("0", False), ("1", True)])
def test_shared_port_is_read_from_the_settings(value: str, shares: bool) -> None:
    assert shares_its_port(config(so_reuseport=value)) is shares
    assert not shares_its_port([])


def test_clients_that_wait_are_counted_by_database_and_user_with_the_longest_wait() -> None:
    waiting, login = ("C", "cl_waiting"), ("C", "cl_waiting_login")
    sample = in_version(
        V1_24,
        a_row(link="0x5e"),
        a_row(waiting, addr=("10.0.0.7", 50_003), wait=2, wait_us=500_000),
        a_row(login, addr=("unix", 0), wait=7),
        a_row(waiting, addr=("10.0.0.7", 50_004), user="reports", wait_us=250_000),
    )
    assert sample.queues == {
        ("orders", "shop"): ClientQueue(2, 7.0),
        ("orders", "reports"): ClientQueue(1, 0.25),
    }

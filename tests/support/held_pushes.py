"""Say what poolscope would push of a connection that this process holds."""

import os
import socket
from typing import Any

import psycopg

from poolscope import catalogue
from poolscope_exporter.core.sessions import Endpoint
from support.otlp_messages import Attributes, a_marker, a_request, gauges, number

AnyConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]


def own_end(connection: AnyConnection) -> Endpoint:
    """Return the address and port from which the connection was opened."""
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        address, port = duplicate.getsockname()
    return Endpoint(address, port)


def a_held_push(
    sequence: int,
    connection: AnyConnection,
    port: int,
    evidence: str | None = None,
    backend_pid: int | None = None,
) -> bytes:
    """Return what poolscope would push while `connection`, to `port`, is held."""
    local = own_end(connection)
    pool: Attributes = {
        catalogue.POOL_NAME: "orders",
        catalogue.SERVER_ADDRESS: "127.0.0.1",
        catalogue.SERVER_PORT: port,
    }
    checkout = {
        **pool,
        catalogue.CHECKOUT_ID: 1,
        catalogue.BACKEND_PID: backend_pid or connection.info.backend_pid,
        catalogue.LOCAL_ADDRESS: local.address,
        catalogue.LOCAL_PORT: local.port,
        catalogue.PEER_ADDRESS: "127.0.0.1",
        catalogue.PEER_PORT: port,
        catalogue.HTTP_ROUTE: "/orders",
        **({catalogue.EVIDENCE: evidence} if evidence else {}),
    }
    return a_request(
        push=(
            a_marker(sequence, **{catalogue.PUSH_INTERVAL: 1.0}),
            gauges(catalogue.CHECKOUT_AGE.name, number(10.0 + sequence, checkout)),
            gauges(catalogue.CHECKOUTS_HELD.name, number(1, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(1, pool)),
        )
    ).SerializeToString()

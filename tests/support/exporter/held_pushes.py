"""Say what poolscope would push of a connection that this process holds."""

import os
import socket
from typing import Any

import psycopg

from poolscope import catalogue
from poolscope_exporter.core.model.endpoints import Endpoint
from support.exporter.otlp_messages import Attributes, a_gauge, a_marker, a_request, gauges, number

AnyConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]


def own_end(connection: AnyConnection) -> Endpoint:
    """Return the address and port from which the connection was opened."""
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        address, port = duplicate.getsockname()
    return Endpoint(address, port)


def _ends(connection: AnyConnection, port: int) -> Attributes:
    """Return both ends of a connection; a Unix socket has none."""
    if connection.info.host.startswith("/"):
        return {}
    local = own_end(connection)
    return {
        catalogue.LOCAL_ADDRESS: local.address,
        catalogue.LOCAL_PORT: local.port,
        catalogue.PEER_ADDRESS: "127.0.0.1",
        catalogue.PEER_PORT: port,
    }


def a_held_push(
    sequence: int,
    connection: AnyConnection,
    port: int,
    evidence: str | None = None,
    backend_pid: int | None = None,
    *,
    checkout_id: int = 1,
    recycle_s: float | None = None,
) -> bytes:
    """Return what poolscope would push while `connection`, to `port`, is held."""
    pool: Attributes = {
        catalogue.POOL_NAME: "orders",
        catalogue.SERVER_ADDRESS: "127.0.0.1",
        catalogue.SERVER_PORT: port,
    }
    checkout = {
        **pool,
        catalogue.CHECKOUT_ID: checkout_id,
        catalogue.BACKEND_PID: backend_pid or connection.info.backend_pid,
        **_ends(connection, port),
        catalogue.HTTP_ROUTE: "/orders",
        **({catalogue.EVIDENCE: evidence} if evidence else {}),
    }
    info, recycle = catalogue.POOL_INFO, catalogue.POOL_RECYCLE
    about = {**pool, catalogue.POOL_CLASS: "QueuePool"}
    configured = [a_gauge(info.name, 1, about, info.unit)]
    if recycle_s is not None:
        configured.append(a_gauge(recycle.name, recycle_s, pool, recycle.unit))
    return a_request(
        *configured,
        push=(
            a_marker(sequence, **{catalogue.PUSH_INTERVAL: 1.0}),
            gauges(catalogue.CHECKOUT_AGE.name, number(10.0 + sequence, checkout)),
            gauges(catalogue.CHECKOUTS_HELD.name, number(1, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(1, pool)),
        ),
    ).SerializeToString()

"""A peer that has gone leaves no connection in memory, whatever it did before.

Python's collector runs seldom in the exporter, and it is off here: a connection in a cycle, or one
that a timer refers to, keeps its TLS buffers for minutes. An attacker opens a hundred a second.
"""

import asyncio
import gc
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import uvicorn

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.listeners.bounded_http import bounded_protocol
from poolscope_exporter.listeners.tls_gate import TlsGate, server_context
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY
from support.processes.child_processes import wait_until

PEERS = 20
WITHIN_S = 30.0
KEEP_ALIVE_S = 600
LIMITS = Limits()
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"x" * 1_000_000
KINDS = {"_Greeting", "SSLProtocol", "Bounded", "RequestResponseCycle"}
"""Classes of asyncio, uvicorn and ours, an object of each for a connection."""


async def an_application(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": ANSWER if scope["path"] == "/" else b""})


def protocol(has_tls: bool) -> Callable[..., asyncio.BaseProtocol]:
    bounded = bounded_protocol(LIMITS, Counter())
    if not has_tls:
        return bounded
    return TlsGate(bounded, server_context(LOOPBACK_CERT, LOOPBACK_KEY), LIMITS, Counter())


def says_nothing(_: socket.socket) -> None:
    """Close at once."""


def speaks_no_tls(plain: socket.socket) -> None:
    plain.sendall(b"HELO\r\n\r\n")


def begins_a_greeting(plain: socket.socket) -> None:
    plain.sendall(bytes.fromhex("160301020001"))


def reads_nothing(plain: socket.socket) -> None:
    plain.sendall(REQUEST)


def sends_half(plain: socket.socket) -> None:
    plain.sendall(b"POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 999)


def reads_all(plain: socket.socket) -> None:
    plain.sendall(REQUEST)
    left = len(ANSWER)
    while left > 0:
        left -= len(plain.recv(65_536)) or left


def connected(port: int, has_tls: bool) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
    if not has_tls:
        return plain
    trusted = ssl.create_default_context(cafile=LOOPBACK_CERT)
    return trusted.wrap_socket(plain, server_hostname="127.0.0.1")


def visit(port: int, has_tls: bool, way: Callable[[socket.socket], None], has_reset: bool) -> None:
    for _ in range(PEERS):
        with connected(port, has_tls) as peer:
            way(peer)
            if has_reset:  # as after a close with unread data
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def kept() -> Counter[str]:
    return Counter(name for each in gc.get_objects() if (name := type(each).__name__) in KINDS)


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def kept_after(
    serves_tls: bool, speaks_tls: bool, way: Callable[[socket.socket], None], has_reset: bool
) -> Counter[str]:
    """Return what is in memory some time after the last of these peers has gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    make, accepted = protocol(serves_tls), Counter[str]()

    def accept(**arguments: Any) -> asyncio.BaseProtocol:
        accepted["peers"] += 1
        return make(**arguments)

    config = uvicorn.Config(
        an_application,
        http=cast("type[asyncio.Protocol]", accept),
        lifespan="off",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
    )
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=[listener]))
    await asyncio.to_thread(visit, port, speaks_tls, way, has_reset)

    def are_all_gone() -> bool:
        return accepted["peers"] == PEERS and not kept()

    await asyncio.to_thread(wait_until, are_all_gone, WITHIN_S)
    found = kept()
    server.should_exit = True
    await serving
    return found


WAYS = (says_nothing, reads_nothing, sends_half, reads_all)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("has_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("has_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("way", WAYS)
def test_a_peer_that_has_gone_leaves_nothing(
    way: Callable[[socket.socket], None], has_tls: bool, has_reset: bool
) -> None:
    assert asyncio.run(kept_after(has_tls, has_tls, way, has_reset)) == {}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("has_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("way", [says_nothing, speaks_no_tls, begins_a_greeting])
def test_a_failed_greeting_leaves_nothing(
    way: Callable[[socket.socket], None], has_reset: bool
) -> None:
    assert asyncio.run(kept_after(True, False, way, has_reset)) == {}

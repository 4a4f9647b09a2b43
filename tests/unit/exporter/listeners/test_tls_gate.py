"""Who gives way where too many peers are in a TLS handshake."""

import asyncio
import gc
import ssl
from collections import Counter

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.listeners.bounded_http import ClosedCounts
from poolscope_exporter.listeners.tls_gate import TlsGate

ROOM = 3
HELLO = b"\x16\x03\x01"


class Peer(asyncio.Transport):
    """The transport of a peer that connects to the gate."""

    def __init__(self, gate: TlsGate) -> None:
        super().__init__()
        self.is_open = True
        self.protocol = gate()
        self.protocol.connection_made(self)

    def send(self, data: bytes) -> None:
        protocol = self.protocol
        assert isinstance(protocol, asyncio.BufferedProtocol)
        protocol.get_buffer(-1)[: len(data)] = data  # type: ignore[index]
        protocol.buffer_updated(len(data))

    def pause_reading(self) -> None:
        """Do nothing: this peer sends once."""

    def is_closing(self) -> bool:
        return not self.is_open

    def abort(self) -> None:
        self.is_open = False
        self.protocol.connection_lost(None)


def a_gate(closed: ClosedCounts) -> TlsGate:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    return TlsGate(asyncio.Protocol, context, Limits(max_connections=ROOM), closed)


async def who_stays(speaking: set[int], peers: int) -> list[int]:
    gate = a_gate(Counter())
    connected = []
    for number in range(peers):
        connected.append(Peer(gate))
        if number in speaking:
            connected[-1].send(HELLO)
    return [number for number, peer in enumerate(connected) if peer.is_open]


def test_silent_peers_give_way_before_one_that_has_begun() -> None:
    assert asyncio.run(who_stays({0}, 20)) == [0, 18, 19]


def test_the_oldest_gives_way_where_all_have_begun() -> None:
    assert asyncio.run(who_stays(set(range(20)), 20)) == [17, 18, 19]


def test_a_peer_that_is_replaced_is_counted() -> None:
    closed: ClosedCounts = Counter()

    async def connect() -> None:
        gate = a_gate(closed)
        for _ in range(ROOM + 2):
            Peer(gate)

    asyncio.run(connect())
    assert closed == {"replaced": 2}


async def errors_of_a_peer_that_is_lost() -> list[str]:
    """Return the errors of its handshake: this transport takes none, so that each try is one."""
    errors: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(str(context["exception"])))
    peer = Peer(a_gate(Counter()))
    peer.send(HELLO)
    peer.abort()
    for _ in range(5):
        await asyncio.sleep(0)
    del peer
    gc.collect()
    return errors


def test_no_handshake_begins_with_a_peer_that_has_gone() -> None:
    assert asyncio.run(errors_of_a_peer_that_is_lost()) == []

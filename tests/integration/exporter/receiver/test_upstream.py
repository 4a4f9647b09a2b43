"""A request to an upstream ends in its time, however the upstream answers."""

import asyncio
from contextlib import suppress

import pytest

from poolscope_exporter.forwarding.upstream import Delivery, Upstream, UpstreamTarget

ended = asyncio.Event()

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\n"


async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer so slowly that each byte comes in time, and the whole never does."""
    with suppress(ConnectionError):
        for byte in HEAD + b"\0" * 1_000:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.02)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    ended.set()


async def test_an_answer_that_trickles_makes_the_upstream_unreachable() -> None:
    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        upstream = Upstream(UpstreamTarget(f"http://127.0.0.1:{port}"), timeout_s=0.3)
        answer = await upstream.post(b"")
        await upstream.close_connections()
        await ended.wait()
    assert answer.delivery is Delivery.UNREACHABLE
    assert answer.detail == "it took longer than 0.3 s"


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        *((status, Delivery.BUSY) for status in (429, 502, 503, 504)),
        *((status, Delivery.REJECTED) for status in (300, 400, 401, 403, 404, 408, 413, 500, 501)),
        (200, Delivery.OK),
    ],
)
async def test_a_status_is_answered_with_another_attempt_or_never(
    status: int, delivery: Delivery
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        upstream = Upstream(UpstreamTarget(f"http://127.0.0.1:{port}"))
        assert (await upstream.post(b"")).delivery is delivery
        await upstream.close_connections()


async def test_a_port_where_nobody_listens_makes_the_upstream_unreachable() -> None:
    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    upstream = Upstream(UpstreamTarget(f"http://127.0.0.1:{port}"))
    assert (await upstream.post(b"")).delivery is Delivery.UNREACHABLE
    await upstream.close_connections()

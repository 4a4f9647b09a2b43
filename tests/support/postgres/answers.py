"""Ports of loopback that answer a connecting driver as a PostgreSQL in trouble does."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
SECONDS_TO_LINGER = struct.pack("ii", 1, 0)
"""Zero: closing sends a reset instead of an orderly end."""


@asynccontextmanager
async def answering(sqlstate: str, message: str) -> AsyncIterator[int]:
    """Yield a port that refuses TLS, and answers each log-in with one error."""
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": message}
    body = b"".join(f"{name}{text}\0".encode() for name, text in fields.items()) + b"\0"
    answer = b"E" + struct.pack("!i", len(body) + 4) + body

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            [length, code] = struct.unpack("!ii", await reader.readexactly(8))
            if code not in (SSL_REQUEST, GSS_REQUEST):
                break
            writer.write(b"N")
        await reader.readexactly(length - 8)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def hanging_up(*, by_reset: bool) -> AsyncIterator[int]:
    """Yield a port that closes each connection at the first word, in order or by a reset."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        if by_reset:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, SECONDS_TO_LINGER
            )
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]

"""The end of a TCP server that a test made."""

import asyncio

TURNS = 10
"""Of the event loop. asyncio starts a handler in the third turn after it accepted a connection."""


async def stop_accepting(server: asyncio.Server) -> None:
    """Wait until each connection that has come has its handler, and close the server.

    If a server is closed before, asyncio drops the connection without closing it, and the next
    test gets the warning.
    """
    for _ in range(TURNS):
        await asyncio.sleep(0)
    server.close()

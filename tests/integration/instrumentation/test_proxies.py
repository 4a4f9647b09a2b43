"""The TCP proxies of other tests leave no connection open, however late it came."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import pytest

from support.processes.black_hole import BlackHole
from support.processes.idle_proxy import IdleProxy

HOST = "127.0.0.1"


async def has_ended(client: socket.socket) -> bool:
    with suppress(ConnectionError):
        return await asyncio.get_running_loop().sock_recv(client, 1) == b""
    return True


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("proxy_to", [BlackHole, IdleProxy])
async def test_client_that_came_a_few_turns_before_the_end_is_not_left_open(
    proxy_to: Callable[[int], BlackHole | IdleProxy], turns: int
) -> None:
    with socket.create_server((HOST, 0)) as target, socket.socket() as client:
        client.setblocking(False)
        async with proxy_to(target.getsockname()[1]) as proxy:
            client.connect_ex((HOST, proxy.port))
            for _ in range(turns):
                await asyncio.sleep(0)

        async with asyncio.timeout(10):
            assert await has_ended(client)

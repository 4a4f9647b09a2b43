"""Ports that are said to be free are free, and different."""

import asyncio
import socket

from poolscope_exporter.demo.ports import HOST, free_ports, other_demos_wait
from poolscope_generators.ports import held_port


def test_a_port_that_is_free_is_taken_as_preferred() -> None:
    port = held_port()
    assert free_ports([port]) == [port]


def test_a_port_in_use_is_replaced_by_another() -> None:
    with socket.create_server((HOST, 0)) as used:
        port = used.getsockname()[1]
        assert free_ports([port]) != [port]


def test_all_are_different() -> None:
    (port,) = free_ports([0])
    assert len(set(free_ports([port, port, 0, 0]))) == 4


def test_demos_that_start_together_choose_their_ports_one_after_the_other() -> None:
    inside: list[int] = []
    most = 0

    async def start(number: int) -> None:
        nonlocal most
        async with other_demos_wait():
            inside.append(number)
            most = max(most, len(inside))
            for _ in range(10):
                await asyncio.sleep(0)
            inside.remove(number)

    async def start_all() -> None:
        await asyncio.gather(*map(start, range(3)))

    asyncio.run(start_all())
    assert most == 1

"""Ports that are said to be free are free, and different."""

import socket

from poolscope_exporter.demo.ports import HOST, free_ports
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

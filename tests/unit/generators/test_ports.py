"""Ports that are held are free, each is given once, and none is one of outgoing connections."""

import socket
import subprocess
import sys
from pathlib import Path

from poolscope_generators.ports import BLOCK_SIZE, HOST, held_port, held_ports


def test_a_held_port_is_free_and_given_once() -> None:
    ports = held_ports(3)
    assert len(set(ports)) == 3
    for port in ports:
        socket.create_server((HOST, port)).close()


def test_a_port_in_use_is_passed_over() -> None:
    port = held_port()
    with socket.create_server((HOST, port)):
        assert port not in held_ports(BLOCK_SIZE)  # all that there are, and the first again


def test_another_process_gets_other_ports_also_with_another_temporary_folder(
    tmp_path: Path,
) -> None:
    ours = held_ports(BLOCK_SIZE)
    program = "from poolscope_generators.ports import held_port; print(held_port())"
    environment = {"PYTHONPATH": ":".join(sys.path), "TMPDIR": str(tmp_path)}
    printed = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert int(printed) not in ours


def test_no_outgoing_connection_gets_a_held_port() -> None:
    with socket.create_server((HOST, 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert client.getsockname()[1] > max(held_ports(5))

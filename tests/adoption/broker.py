"""A Redis that carries Celery's tasks, from the system's package.

Celery's transport by files is not safe: if the sender pauses after it has made the file of a task,
the worker reads an empty task and ends.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from poolscope_exporter.demo.ports import HOST
from poolscope_generators.ports import held_port
from support.processes.child_processes import wait_until

PROGRAM = "redis-server"
PING, PONG = b"PING\r\n", b"+PONG"


@contextmanager
def a_broker(folder: Path) -> Iterator[str]:
    """Yield the address of a Redis that stores nothing on disk, without a database's number."""
    program = shutil.which(PROGRAM)
    assert program is not None, f"needs Redis: apt-get install {PROGRAM}"
    port = held_port()
    options = ("--bind", HOST, "--port", str(port), "--save", "", "--dir", str(folder))
    with (folder / "redis.log").open("wb") as out:
        process = subprocess.Popen([program, *options], stdout=out, stderr=out)
    try:
        assert wait_until(lambda: _answers(port)), (folder / "redis.log").read_text()
        yield f"redis://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as client:
            client.sendall(PING)
            return client.recv(len(PONG)) == PONG
    except OSError:
        return False

"""No thread of ours imports anything: a fork would leave the module's lock held for ever."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY
from support.exporter.receiver import Mood, Receiver, a_receiver

APPLICATION = """
import asyncio, importlib.abc, json, logging, sys, threading, time

import sqlalchemy
import poolscope

logging.basicConfig(level="DEBUG")
handle = poolscope.instrument(push_interval_s=0.2)
imported = []

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        thread = threading.current_thread().name
        if thread.startswith("poolscope"):
            imported.append(f"{thread}: {name}")

sys.meta_path.insert(0, Watch())
engine = sqlalchemy.create_engine(
    "sqlite://", poolclass=sqlalchemy.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.1
)

async def leak():
    engine.pool.connect()

async def main():
    kept = engine.connect()
    try:
        engine.connect()
    except sqlalchemy.exc.TimeoutError:
        pass
    kept.close()
    await asyncio.create_task(leak())
    time.sleep(2.5)  # the loop stands still
    await asyncio.sleep(2.5)

asyncio.run(main())
handle.flush()
print(json.dumps(imported))
"""


@contextmanager
def receivers() -> Iterator[list[Receiver]]:
    """Run receivers of every mood that answers, and one that answers over TLS."""
    with (
        a_receiver() as good,
        a_receiver() as failing,
        a_receiver() as babbling,
        a_receiver() as tls,
    ):
        failing.mood, babbling.mood = Mood.FAILS, Mood.BABBLES
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(LOOPBACK_CERT, LOOPBACK_KEY)
        tls.server.socket = context.wrap_socket(tls.server.socket, server_side=True)
        yield [good, failing, babbling, tls]


def closed_port() -> int:
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        port: int = once.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_thread_of_ours_imports_anything(host: str) -> None:
    with receivers() as heard:
        *plain, tls = heard
        endpoints = [f"http://{host}:{each.server.server_port}" for each in plain]
        endpoints += [f"https://{host}:{tls.server.server_port}", f"http://{host}:{closed_port()}"]
        environment = {
            **os.environ,
            "POOLSCOPE_ENDPOINT": ",".join(endpoints),
            "POOLSCOPE_CA_FILE": str(LOOPBACK_CERT),
        }
        done = subprocess.run(
            [sys.executable, "-c", APPLICATION],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
        )
        good = plain[0].arrived
    assert done.returncode == 0, done.stderr
    assert good
    assert tls.arrived, done.stderr
    assert json.loads(done.stdout) == []
    assert "garbage_collected" in done.stderr

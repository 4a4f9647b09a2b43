"""Children that are forked around the first push of their parent work, and push.

A fork leaves every lock that another thread held locked for ever in the child. One thread looks at
holders all the time, so that a child may begin in the middle of a look. POOLSCOPE_FORKS says how
many children there are; 400 take about two minutes.
"""

import json
import os
import subprocess
import sys

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.receiver import a_receiver

CHILDREN_AT_ONCE = 20
FORKS = int(os.environ.get("POOLSCOPE_FORKS", "100"))

PARENT = f"""
import asyncio, faulthandler, gc, json, os, signal, socket, sys, threading, time

import asyncpg, psycopg, sqlalchemy
import poolscope
from poolscope.watching.holder_looks import HolderLooks

_, endpoint, dsn = sys.argv
handle = poolscope.instrument(endpoint=endpoint, push_interval_s=0.3)
engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.QueuePool)

def use_pool():
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))

async def use_asyncpg():
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()

def work():
    socket.getaddrinfo("localhost", 80)
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT 1")
    asyncio.run(use_asyncpg())
    use_pool()
    until_s = time.monotonic() + 30
    handle.flush()  # it waits for a second; {CHILDREN_AT_ONCE} children may need longer
    while not handle.pusher._ended.is_set() and time.monotonic() < until_s:
        handle.flush()

kept = [engine.connect() for _ in range(5)]
looks, looked, children = HolderLooks(handle.registry, dict), [], []

def look_all_the_time():
    while len(children) < {CHILDREN_AT_ONCE}:
        looks.look_at_owners(time.monotonic())
        looked.append(None)

threading.Thread(target=look_all_the_time, daemon=True).start()
sys.setswitchinterval(1e-5)  # so that some children are forked during a look
use_pool()  # the pusher starts, and pushes 0.3 s later
time.sleep(0.29)
for _ in range({CHILDREN_AT_ONCE}):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(50)
        sys.setswitchinterval(0.005)
        faulthandler.dump_traceback_later(40)  # where it hangs
        code = 1
        try:
            work()
            assert gc.isenabled(), "the child was forked during a look, and collects no garbage"
            code = 0
        finally:
            os._exit(code)
    children.append(pid)
ended = [os.waitpid(pid, 0)[1] for pid in children]
assert len(looked) > 10 and handle.registry.hook_errors == 0, handle.registry.last_hook_error
print(json.dumps(ended))
"""


def test_no_child_hangs_and_all_push(postgres: EmbeddedPostgres) -> None:
    rounds = -(-FORKS // CHILDREN_AT_ONCE)
    with a_receiver() as receiver:
        endpoint = receiver.endpoint.replace("127.0.0.1", "localhost")
        dsn = postgres.dsn.replace("127.0.0.1", "localhost")
        for _ in range(rounds):
            done = subprocess.run(
                [sys.executable, "-c", PARENT, endpoint, dsn],
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            assert "a push failed" not in done.stderr, done.stderr
            assert not any(json.loads(done.stdout)), done.stderr
        instances = {
            attribute.value.string_value
            for request in receiver.arrived
            for metrics in request.resource_metrics
            for attribute in metrics.resource.attributes
            if attribute.key == catalogue.SERVICE_INSTANCE_ID
        }
    assert len(instances) == rounds * (CHILDREN_AT_ONCE + 1)

"""The part of a soak that runs under gevent: greenlets that share a pool, as its workers do.

`SCENARIO_WAYS` says where they lead.
"""

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()

# ruff: noqa: E402 - gevent patches what the others import
import random

import gevent
from sqlalchemy import Engine, create_engine, text

import poolscope
from scenarios.timed.soak_pools import RECYCLE_S, sqlalchemy_url

poolscope.instrument()

GREENLETS = 6
STATEMENTS = 10
SHORT_S = 0.02
PAUSE_S = 0.15
SLEEP = text("SELECT pg_sleep(:s)")


def ask(engine: Engine) -> None:
    """Use a connection for one statement."""
    with engine.connect() as connection:
        connection.execute(SLEEP, {"s": SHORT_S})


def report(engine: Engine) -> None:
    """Use a connection for many statements, with pauses in which other greenlets run."""
    with engine.connect() as connection:
        for _ in range(STATEMENTS):
            with connection.begin():
                connection.execute(SLEEP, {"s": SHORT_S})
            gevent.sleep(PAUSE_S)


def work(engine: Engine) -> None:
    while True:
        job = random.choice([ask, ask, ask, report])
        # As a worker does for each request: the greenlet that took a connection ends.
        gevent.spawn(job, engine).join()
        gevent.sleep(random.uniform(0, PAUSE_S))


def main() -> None:
    engine = create_engine(
        sqlalchemy_url("psycopg"), pool_logging_name="greenlets", pool_recycle=RECYCLE_S
    )
    gevent.joinall([gevent.spawn(work, engine) for _ in range(GREENLETS)], raise_error=True)


if __name__ == "__main__":
    main()

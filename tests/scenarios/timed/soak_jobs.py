"""What the app of a soak does beside its requests: batch jobs, and a connection that listens.

The jobs change the rows that requests change too, so each waits for the other for milliseconds.
"""

import asyncio
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, text

import poolscope
from scenarios.timed.soak_pools import SoakPools

CHANNEL = "soak"
ROWS = 4
CHANGE = text("UPDATE stock SET amount = amount + 1 WHERE id = :id")
SLEEP = text("SELECT pg_sleep(:s)")

TRANSACTIONS = 40
STEP_S = 0.04
"""A batch that keeps its connection has it for about two seconds."""
LONG_S = (0.5, 2.0)
PAUSE_S = 0.5
POOLED_THREADS = 3

TALLY: Counter[str] = Counter()
"""How often each thing happened that a soak must contain."""


def work_in_thread(pools: SoakPools, stop: threading.Event) -> None:
    """Work through batches: a connection for each transaction, and one for many."""
    while not stop.wait(PAUSE_S):
        for number in range(TRANSACTIONS):
            with pools.reports.begin() as connection:
                connection.execute(CHANGE, {"id": number % ROWS})
            TALLY["transactions of the thread"] += 1
        with pools.reports.connect() as connection:
            for number in range(TRANSACTIONS):
                with connection.begin():
                    connection.execute(CHANGE, {"id": number % ROWS})
                stop.wait(STEP_S)
        for engine in (pools.reports, pools.scripts):
            with engine.connect() as connection:
                connection.execute(SLEEP, {"s": random.uniform(*LONG_S)})
        TALLY["batches of the thread"] += 1


def work_in_thread_pool(pools: SoakPools, stop: threading.Event) -> None:
    """Give jobs to threads that wait for the next one meanwhile, as a scheduler does.

    One of them keeps a connection between its jobs, and says so.
    """
    with ThreadPoolExecutor(POOLED_THREADS) as threads, ThreadPoolExecutor(1) as keeper:
        kept = keeper.submit(_keep_connection, pools).result()
        while not stop.wait(PAUSE_S):
            keeper.submit(kept.execute, SLEEP, {"s": STEP_S}).result()
            keeper.submit(kept.commit).result()
            jobs = [threads.submit(_run_job, pools) for _ in range(POOLED_THREADS)]
            TALLY["jobs of a thread pool"] += len([job.result() for job in jobs])
        keeper.submit(kept.close).result()


def _keep_connection(pools: SoakPools) -> Connection:
    with poolscope.long_lived():
        return pools.jobs.connect()


def _run_job(pools: SoakPools) -> None:
    with pools.jobs.begin() as connection:
        connection.execute(SLEEP, {"s": random.uniform(0, LONG_S[0])})


async def work_in_task(pools: SoakPools) -> None:
    """Do the same in a task."""
    while True:
        for number in range(TRANSACTIONS):
            async with pools.orders.begin() as connection:
                await connection.execute(CHANGE, {"id": number % ROWS})
            TALLY["transactions of the task"] += 1
        async with pools.orders.connect() as connection:
            for number in range(TRANSACTIONS):
                async with connection.begin():
                    await connection.execute(CHANGE, {"id": number % ROWS})
                await asyncio.sleep(STEP_S)
        async with pools.orders.connect() as connection:
            await connection.execute(SLEEP, {"s": random.uniform(*LONG_S)})
        TALLY["batches of the task"] += 1
        await asyncio.sleep(PAUSE_S)


async def listen_in_own_pool(pools: SoakPools) -> None:
    """Keep the only connection of a pool, and wait for notifications."""
    with poolscope.long_lived():
        async with pools.events.connection() as connection:
            await connection.set_autocommit(True)
            await connection.execute(f"LISTEN {CHANNEL}")
            async for _ in connection.notifies():
                TALLY["notifications of psycopg"] += 1


async def listen_in_shared_pool(pools: SoakPools) -> None:
    """Keep a connection of a pool that requests use as well."""
    with poolscope.long_lived():
        async with pools.carts.acquire() as connection:
            await connection.add_listener(CHANNEL, _count_notification)
            await asyncio.Event().wait()


def _count_notification(*_: object) -> None:
    TALLY["notifications of asyncpg"] += 1

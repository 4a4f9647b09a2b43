"""A second service, with three pools of three libraries, and a route for each way to hurt one.

The pool `invoices` goes through a PgBouncer, `ledger` directly; `legacy` is a synchronous engine
that somebody uses on the event loop.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
from fastapi import FastAPI
from sqlalchemy import create_engine

import poolscope

poolscope.instrument()

PAUSE_S = 7.0
BATCH_S = 8.0
SHORT = "SELECT pg_sleep(0.05)"
DIRECT = os.environ["BILLING_DATABASE"]

invoices = psycopg_pool.AsyncConnectionPool(
    os.environ["BILLING_BOUNCER"],
    min_size=2,
    max_size=4,
    timeout=3,
    name="invoices",
    open=False,
    kwargs={"prepare_threshold": None},
)
legacy = create_engine(
    DIRECT.replace("postgresql://", "postgresql+psycopg://", 1),
    pool_size=1,
    max_overflow=0,
    pool_timeout=0.2,
    pool_recycle=1800,
    pool_logging_name="legacy",
)
pools: dict[str, "asyncpg.Pool[Any]"] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Open the pools; at the end close them."""
    await invoices.open(wait=True)
    ledger = await asyncpg.create_pool(DIRECT, min_size=2, max_size=4)
    poolscope.name_pool(ledger, "ledger")
    pools["ledger"] = ledger
    yield
    await invoices.close()
    ledger.terminate()


app = FastAPI(title="billing", lifespan=lifespan)


@app.get("/invoices")
async def show_invoices() -> None:
    """Healthy: a short query through the PgBouncer."""
    async with invoices.connection() as connection:
        await connection.execute("SELECT 1")


@app.get("/invoices/import")
async def import_invoices() -> None:
    """Begin to load rows, and send none for a while: the server waits for the application."""
    async with (
        invoices.connection() as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY invoices FROM STDIN"),
    ):
        await asyncio.sleep(PAUSE_S)


@app.get("/ledger")
async def show_ledger() -> None:
    """Healthy: a short query, directly."""
    async with pools["ledger"].acquire(timeout=3) as connection:
        await connection.fetchval("SELECT 1")


@app.get("/ledger/close")
async def close_ledger() -> None:
    """Hold a connection, without a transaction, while somebody else works."""
    async with pools["ledger"].acquire(timeout=3) as connection:
        await connection.fetchval("SELECT 1")
        await asyncio.sleep(PAUSE_S)


@app.get("/ledger/batch")
async def batch() -> None:
    """Work: one short statement after another. Many of these at once need a larger pool."""
    loop = asyncio.get_running_loop()
    async with pools["ledger"].acquire(timeout=3) as connection:
        end = loop.time() + BATCH_S
        while loop.time() < end:
            await connection.execute(SHORT)


@app.get("/legacy")
async def use_legacy() -> None:
    """Take a connection of a synchronous pool on the event loop."""
    with legacy.connect():
        await asyncio.sleep(1.5)

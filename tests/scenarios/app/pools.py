"""Make the pools of the app: one for each behaviour, named after it, of one connection unless said.

`SCENARIO_WAYS` says where they lead: libpq URIs by way, as JSON.
"""

import json
import os
import threading
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import poolscope

WAYS: dict[str, str] = json.loads(os.environ["SCENARIO_WAYS"])
DIRECT = "direct"

WORKER_IS_BUSY = threading.Event()
"""A worker thread runs its slow query: the next request gets another, which nobody uses later."""

KEPT: list[Any] = []
"""What the app holds on to: connections that nobody returns, and tasks that go on."""


def _sqlalchemy_url(way: str, driver: str) -> str:
    return WAYS[way].replace("postgresql://", f"postgresql+{driver}://", 1)


def an_async_engine(name: str, way: str = DIRECT, size: int = 1, **options: Any) -> AsyncEngine:
    """Return an engine on asyncpg, without overflow."""
    url = _sqlalchemy_url(way, "asyncpg")
    engine = create_async_engine(
        url, pool_logging_name=name, pool_size=size, max_overflow=0, **options
    )
    KEPT.append(engine)
    return engine


def an_engine(name: str, way: str = DIRECT, **options: Any) -> Engine:
    """Return a synchronous engine of one connection, on psycopg."""
    url = _sqlalchemy_url(way, "psycopg")
    engine = create_engine(url, pool_logging_name=name, pool_size=1, max_overflow=0, **options)
    KEPT.append(engine)
    return engine


def an_engine_for_threads(name: str, driver: str, size: int, timeout_s: float) -> Engine:
    """Return a synchronous engine without overflow, on any driver."""
    return create_engine(
        _sqlalchemy_url(DIRECT, driver),
        pool_logging_name=name,
        pool_size=size,
        max_overflow=0,
        pool_timeout=timeout_s,
    )


async def an_asyncpg_pool(name: str, way: str = DIRECT) -> "asyncpg.Pool[Any]":
    """Return an open pool of asyncpg's own."""
    pool = asyncpg.create_pool(WAYS[way], min_size=1, max_size=1, statement_cache_size=0)
    await pool
    poolscope.name_pool(pool, name)
    KEPT.append(pool)
    return pool


async def a_psycopg_pool(
    name: str, way: str = DIRECT, **options: Any
) -> psycopg_pool.AsyncConnectionPool[Any]:
    """Return an open pool of psycopg_pool's; the options are its connections'."""
    options = {"prepare_threshold": None, **options}  # as PgBouncer needs it
    pool = psycopg_pool.AsyncConnectionPool(
        WAYS[way], min_size=1, max_size=1, name=name, open=False, kwargs=options
    )
    await pool.open(wait=True)
    KEPT.append(pool)
    return pool

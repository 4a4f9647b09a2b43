"""Pools of every kind, each with room for the traffic of a soak.

`SCENARIO_WAYS` says where they lead.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg_pool
from fastapi import Depends, Request
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

import poolscope
from scenarios.app.pools import DIRECT, WAYS

RECYCLE_S = 30
"""Connections are replaced at this age, so that a soak opens new ones all the time."""
UNUSED_S = 10


@dataclass(frozen=True, slots=True)
class SoakPools:
    """The pools of the app.

    `scripts` keeps no connection, so that the end of each use is the end of a session. `events`
    has one connection, which listens. `jobs` is for a pool of threads.
    """

    orders: AsyncEngine
    reports: Engine
    scripts: Engine
    jobs: Engine
    carts: "asyncpg.Pool[Any]"
    users: "psycopg_pool.AsyncConnectionPool[Any]"
    mails: "psycopg_pool.ConnectionPool[Any]"
    events: "psycopg_pool.AsyncConnectionPool[Any]"


def sqlalchemy_url(driver: str) -> str:
    """Return where the pools lead, as SQLAlchemy wants it."""
    return WAYS[DIRECT].replace("postgresql://", f"postgresql+{driver}://", 1)


@asynccontextmanager
async def open_pools() -> AsyncIterator[SoakPools]:
    dsn = WAYS[DIRECT]
    orders = create_async_engine(
        sqlalchemy_url("asyncpg"),
        pool_logging_name="orders", pool_size=10, pool_recycle=RECYCLE_S, pool_pre_ping=True,
    )  # fmt: skip
    url = sqlalchemy_url("psycopg")
    reports = create_engine(url, pool_logging_name="reports", pool_recycle=RECYCLE_S)
    scripts = create_engine(url, pool_logging_name="scripts", poolclass=NullPool)
    jobs = create_engine(url, pool_logging_name="jobs", pool_recycle=RECYCLE_S)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(orders.dispose)
        stack.callback(reports.dispose)
        stack.callback(scripts.dispose)
        stack.callback(jobs.dispose)
        carts = await stack.enter_async_context(
            asyncpg.create_pool(dsn, min_size=2, max_inactive_connection_lifetime=UNUSED_S)
        )
        poolscope.name_pool(carts, "carts")
        users = await stack.enter_async_context(_async_psycopg_pool("users", 10))
        events = await stack.enter_async_context(_async_psycopg_pool("events", 1))
        mails = stack.enter_context(
            psycopg_pool.ConnectionPool(
                dsn, min_size=2, max_size=8, name="mails", max_lifetime=RECYCLE_S, open=False
            )
        )
        yield SoakPools(orders, reports, scripts, jobs, carts, users, mails, events)


def _async_psycopg_pool(name: str, size: int) -> "psycopg_pool.AsyncConnectionPool[Any]":
    return psycopg_pool.AsyncConnectionPool(
        WAYS[DIRECT], min_size=1, max_size=size, name=name, open=False,
        max_lifetime=RECYCLE_S, max_idle=UNUSED_S,
    )  # fmt: skip


async def _pools_of(request: Request) -> SoakPools:
    pools: SoakPools = request.state.pools
    return pools


Pools = Annotated[SoakPools, Depends(_pools_of)]


async def _order_session(pools: Pools) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(pools.orders) as session:
        yield session


def _mail_connection(pools: Pools) -> "Iterator[psycopg.Connection[Any]]":
    """Yield a connection: FastAPI takes it in one worker thread and returns it in another."""
    with pools.mails.connection() as connection:
        yield connection


OrderSession = Annotated[AsyncSession, Depends(_order_session)]
MailConnection = Annotated["psycopg.Connection[Any]", Depends(_mail_connection)]

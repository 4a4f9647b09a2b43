"""An app whose callers wait for something outside of the pool, or for each other.

One process of it plays one case: what blocks its event loop, or takes all of its threads, would be
the trouble of every other case too. Each pool is named after its case.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]
from fastapi import Depends, FastAPI
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

import poolscope
from scenarios.app.pools import DIRECT, WAYS, an_async_engine, an_engine_for_threads

poolscope.instrument()

BLOCKED_S = 3
QUERY = text("SELECT 1")

app = FastAPI()


MAKING = threading.Lock()
"""Threads that come at once must not make an engine each."""


@cache
def threaded_engine() -> Engine:
    return an_engine_for_threads("holders_wait_for_a_thread", "psycopg", 15, 10)


@cache
def synchronous_engine() -> Engine:
    return an_engine_for_threads("synchronous_engine_on_the_loop", "psycopg2", 5, 8)


def threaded_session() -> Iterator[Session]:
    with MAKING:
        engine = threaded_engine()
    with Session(engine) as session:
        yield session


ThreadedSession = Annotated[Session, Depends(threaded_session)]


def threaded_user(session: ThreadedSession) -> int:
    return int(session.execute(QUERY).scalar_one())


@app.get("/holders_wait_for_a_thread")
def ask_in_two_threads(
    user: Annotated[int, Depends(threaded_user)], session: ThreadedSession
) -> int:
    return user + int(session.execute(QUERY).scalar_one())


SHARED_POOL: list["asyncpg.Pool[Any]"] = []


async def one_connection() -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[Any]"]:
    if not SHARED_POOL:
        pool = asyncpg.create_pool(WAYS[DIRECT], min_size=1, max_size=6)
        SHARED_POOL.append(pool)
        await pool
        poolscope.name_pool(pool, "two_dependencies_each_take_one")
    async with SHARED_POOL[0].acquire() as connection:  # waits for as long as it takes
        await connection.fetchval("SELECT 1")
        yield connection


async def another_connection() -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[Any]"]:
    async with SHARED_POOL[0].acquire() as connection:
        yield connection


@app.get("/two_dependencies_each_take_one")
async def ask_twice(
    users: Annotated[Any, Depends(one_connection)],
    profiles: Annotated[Any, Depends(another_connection)],
) -> int:
    return int(await profiles.fetchval("SELECT 1"))


def session_on_the_loop() -> Iterator[Session]:
    with Session(synchronous_engine()) as session:
        yield session


@app.get("/synchronous_engine_on_the_loop")
async def ask_on_the_loop(session: Annotated[Session, Depends(session_on_the_loop)]) -> int:
    value = int(session.execute(QUERY).scalar_one())
    await asyncio.sleep(0.2)  # asks another service, which gives way to the other requests
    return value


@cache
def healthy_engine() -> AsyncEngine:
    return an_async_engine("another_route_blocks_the_loop", size=10, pool_timeout=10)


@app.get("/another_route_blocks_the_loop")
async def ask_healthily() -> int:
    async with healthy_engine().connect() as connection:
        return int((await connection.execute(QUERY)).scalar_one())


@app.get("/another_route_blocks_the_loop/pdf")
async def render_pdf() -> None:
    """Use no database, and block the loop, as a library for documents does."""
    time.sleep(BLOCKED_S)  # noqa: ASYNC251 - the mistake that is played

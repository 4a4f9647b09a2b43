"""An app whose connections change hands, rightly and wrongly; made anew from users' stories.

Each pool is named after its case. `SCENARIO_WAYS` says where they lead.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

import poolscope
from scenarios.app.pools import KEPT, an_async_engine, an_engine_for_threads

poolscope.instrument()

CHUNKS = 20
QUERY = text("SELECT 1")
SLOW_QUERY = text("SELECT pg_sleep(0.05)")

MAKING = threading.Lock()
"""Threads that come at once must not make an engine each."""

app = FastAPI()


@cache
def engine_of(name: str) -> AsyncEngine:
    return an_async_engine(name, size=15, pool_timeout=10)


async def gathering_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine_of("gather_on_one_session")) as session:
        yield session


@app.get("/gather_on_one_session")
async def resolve_fields(session: Annotated[AsyncSession, Depends(gathering_session)]) -> None:
    """Resolve each field in a task, as GraphQL servers do, all on the session of the request."""
    await asyncio.gather(*(session.execute(SLOW_QUERY) for _ in range(4)))


@app.post("/session_handed_to_a_task")
async def begin_export() -> None:
    """Hand a session that is in use to a task, which goes on with it and closes it."""
    session = AsyncSession(engine_of("session_handed_to_a_task"))
    await session.execute(QUERY)
    KEPT.append(asyncio.create_task(export(session)))


async def export(session: AsyncSession) -> None:
    async with session:
        for _ in range(CHUNKS):
            await session.execute(text("SELECT pg_sleep(0.2)"))
            await asyncio.sleep(1.2)  # uploads a chunk


@cache
def threaded_engine() -> Engine:
    return an_engine_for_threads("one_session_for_each_request", "psycopg", 3, 20)


def threaded_session() -> Iterator[Session]:
    with MAKING:
        engine = threaded_engine()
    with Session(engine) as session:
        yield session


ThreadedSession = Annotated[Session, Depends(threaded_session)]


def threaded_user(session: ThreadedSession) -> None:
    session.execute(SLOW_QUERY)


@app.get("/one_session_for_each_request", dependencies=[Depends(threaded_user)])
def ask_with_one_session(session: ThreadedSession) -> None:
    session.execute(SLOW_QUERY)


async def iterated_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine_of("async_for_over_the_dependency")) as session:
        yield session


async def session_if_needed() -> AsyncIterator[AsyncSession]:
    async for session in iterated_session():  # does not close the generator
        yield session


@app.get("/async_for_over_the_dependency/{number}")
async def chat(number: int, session: Annotated[AsyncSession, Depends(session_if_needed)]) -> None:
    await session.execute(QUERY)
    if number % 4 == 0:
        raise HTTPException(502, "the provider failed")

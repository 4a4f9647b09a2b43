"""The app of every incident: each route does one thing to its pool, well until it is changed.

`INCIDENT_DSN` says where its pool leads, `INCIDENT_POOL` how it is set up, as JSON. What a release,
a flag or an upstream does to an app, `PUT /ways/{name}` does here while it runs. Run by uvicorn.
"""

import asyncio
import gc
import json
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import poolscope

poolscope.instrument()

URL = os.environ["INCIDENT_DSN"].replace("postgresql://", "postgresql+psycopg://", 1)
OWN_SETTINGS: dict[str, Any] = json.loads(os.environ["INCIDENT_POOL"])
UNTRACKED = OWN_SETTINGS.pop("behind_pgbouncer", False)
SETTINGS: dict[str, Any] = {
    "pool_size": 5,
    "max_overflow": 3,
    "pool_timeout": 10,
    "pool_pre_ping": True,
    "connect_args": {
        "keepalives_idle": 300,
        "connect_timeout": 5,
        **({"prepare_threshold": None} if UNTRACKED else {}),
    },
    **OWN_SETTINGS,
}
BLOCKED_S = 0.7
CHUNKS = 4
CHUNK_S = 1.2
CAREFUL_S = 4.0
"""How long a careless route's session lives on in a cache, before the collector finds it."""

ways: dict[str, float] = {
    "report_s": 0.05,
    "upstream_s": 0.05,
    "leaks": 0,
    "nests": 0,
    "blocks": 0,
    "forgets": 0,
}
engine = create_async_engine(URL, **SETTINGS)
kept: list[Any] = []
hoard: asyncio.Queue[None] = asyncio.Queue()
forgotten: deque["Cycle"] = deque()
SLEEP = text("SELECT pg_sleep(:seconds)")


class Cycle:
    """Holds a connection, and itself: only the collector finds it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.itself = self


async def forget() -> None:
    """Drop what routes forgot, some seconds later: a cycle, so that only the collector frees it."""
    while True:
        await asyncio.sleep(CAREFUL_S)
        forgotten.clear()
        gc.collect()


@asynccontextmanager
async def forgetting(_: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(forget())
    yield
    task.cancel()


app = FastAPI(lifespan=forgetting)


@app.put("/ways/{name}")
async def change_way(name: str, value: float) -> None:
    ways[name] = value


@app.get("/orders/{order_id}")
async def show_order(order_id: int) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT 1"))).scalar_one())


@app.get("/orders/{order_id}/export")
async def export_order(order_id: int) -> None:
    connection = await engine.connect()
    await connection.execute(text("SELECT 1"))
    if ways["leaks"]:
        kept.append(connection)  # the leak
        return
    await connection.close()


@app.get("/reports")
async def report() -> None:
    async with engine.connect() as connection:
        await connection.execute(SLEEP, {"seconds": ways["report_s"]})


@app.get("/invoices/{order_id}")
async def ask_for_invoice(order_id: int) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT amount FROM stock WHERE id = 2"))
        await asyncio.sleep(ways["upstream_s"])  # an upstream answers


@app.post("/stock/{item}")
async def take_from_stock(item: int) -> None:
    async with engine.begin() as connection:
        change = text("UPDATE stock SET amount = amount - 1 WHERE id = :item")
        await connection.execute(change, {"item": item})


@app.get("/transfers")
async def transfer() -> None:
    async with engine.connect() as connection:
        await connection.execute(SLEEP, {"seconds": 0.2})
        if not ways["nests"]:
            return
        async with engine.connect() as another:  # while it holds the first
            await another.execute(text("SELECT 1"))


@app.get("/prices")
async def show_prices() -> None:
    if not ways["blocks"]:
        await report()
        return
    with careless().connect() as connection:
        connection.execute(SLEEP, {"seconds": BLOCKED_S})


@cache
def careless() -> Engine:
    """Return the synchronous engine of routes that should not have one: made when it is used."""
    return create_engine(URL, pool_logging_name="careless", **SETTINGS)


@app.post("/exports")
async def begin_export() -> int:
    session = AsyncSession(engine)
    order = int((await session.execute(text("SELECT 7"))).scalar_one())
    task = asyncio.create_task(export(session))
    kept.append(task)
    task.add_done_callback(kept.remove)
    return order


async def export(session: AsyncSession) -> None:
    """Own the session from here on, and close it."""
    async with session:
        for _ in range(CHUNKS):
            await session.execute(SLEEP, {"seconds": 0.1})
            await asyncio.sleep(CHUNK_S)


@app.post("/mails")
def send_mail() -> None:
    connection = careless().connect()
    connection.execute(text("SELECT 1"))
    if ways["forgets"]:
        forgotten.append(Cycle(connection))
    else:
        connection.close()


@app.post("/cache")
async def warm_cache() -> None:
    if not kept:
        kept.append(asyncio.create_task(hoard_connections()))
    await hoard.put(None)


async def hoard_connections() -> None:
    """Take a connection whenever asked to, and live on with all of them."""
    hoarded = []
    while True:
        await hoard.get()
        hoarded.append(await engine.connect())

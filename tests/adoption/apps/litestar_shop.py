"""A shop on Litestar and SQLAlchemy's asyncio extension."""

import asyncio
import os

from litestar import Litestar, Router, get
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from truth import count_checkout

if os.environ.get("ADOPTION_LINE"):
    import poolscope

    poolscope.instrument()

engine = create_async_engine(
    os.environ["ADOPTION_URL"], pool_size=5, max_overflow=3, pool_pre_ping=True,
    connect_args={"timeout": 5},
)  # fmt: skip
kept: list[AsyncConnection] = []


@get("/stock/{item:int}")
async def read_stock(item: int) -> int:
    async with engine.connect() as connection:
        count_checkout()
        query = text("SELECT amount FROM stock WHERE id = :id")
        return int((await connection.execute(query, {"id": item})).scalar_one())


@get("/report")
async def report() -> str:
    async with engine.connect() as connection:
        count_checkout()
        await connection.execute(text("SELECT pg_sleep(1.5)"))
    return "done"


@get("/export")
async def export() -> str:
    connection = await engine.connect()
    count_checkout()
    await connection.execute(text("SELECT 1"))
    kept.append(connection)  # the leak: nothing returns it
    await asyncio.sleep(0)
    return "exported"


app = Litestar([Router(path="/shop", route_handlers=[read_stock, report, export])])
if os.environ.get("ADOPTION_LINE"):
    app = poolscope.PoolscopeMiddleware(app)

"""A shop whose export forgets its connection, unless it is mended; its pool is configured well.

Run by uvicorn in a process of its own. It knows nothing of poolscope but the one line.
"""

import os
from typing import Any

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

import poolscope

poolscope.instrument()

IS_MENDED = os.environ["SHOP_IS_MENDED"] == "yes"
REPORT_S = 0.4

engine = create_async_engine(
    os.environ["SHOP_DATABASE_URL"],
    pool_size=5,
    max_overflow=5,
    pool_timeout=30,
    pool_pre_ping=True,
    connect_args={"keepalives_idle": 300, "connect_timeout": 5},
)
app = FastAPI()
forgotten: list[Any] = []


@app.get("/orders/{order_id}")
async def show_order(order_id: int) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT 1"))).scalar_one())


@app.get("/reports")
async def report() -> float:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": REPORT_S})
    return REPORT_S


@app.get("/orders/{order_id}/export")
async def export_order(order_id: int) -> int:
    connection = await engine.connect()  # the leak
    if IS_MENDED:
        await connection.close()
    else:
        forgotten.append(connection)
    return order_id

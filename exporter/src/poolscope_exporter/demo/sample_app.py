"""The demo's sample app: a small shop with one healthy route and three that hurt its pool.

It is an ordinary FastAPI app on async SQLAlchemy and asyncpg. Only the line below the imports
refers to poolscope.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import MetaData, func, insert, select, update
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import poolscope

poolscope.instrument()  # the one line

ORDERS = 50
REPORT_S = 6
PAYMENT_S = 6

engine = create_async_engine(
    os.environ["DEMO_DATABASE_URL"],
    pool_size=5,
    max_overflow=5,
    pool_timeout=3,
    pool_pre_ping=True,
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The base of all tables; they are in a separate schema."""

    metadata = MetaData(schema="poolscope_demo")


class Order(Base):
    """One order of the shop."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    total_cents: Mapped[int]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Make the table and some orders; at the end, close the pool."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        orders = [{"state": "new", "total_cents": 100 * number} for number in range(ORDERS)]
        await connection.execute(insert(Order), orders)
    yield
    await engine.dispose()


app = FastAPI(title="shop", lifespan=lifespan)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give each request a session, and close it however the request ends."""
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


@app.get("/orders/{order_id}")
async def show_order(order_id: int, session: Session) -> dict[str, object]:
    """Return one order. Healthy: a short query, and the dependency returns the connection."""
    order = await session.get(Order, order_id)
    if order is None:
        raise HTTPException(404, "no such order")
    return {"id": order.id, "state": order.state, "total_cents": order.total_cents}


@app.get("/reports")
async def report(session: Session) -> dict[str, object]:
    """Return the turnover. Slow: the database works during the whole checkout."""
    # The sleep simulates a missing index: the server works and other callers wait.
    turnover = select(func.sum(Order.total_cents), func.pg_sleep(REPORT_S))
    total, _ = (await session.execute(turnover)).one()
    return {"total_cents": total}


@app.post("/checkout")
async def checkout(order_id: int = 1) -> dict[str, object]:
    """Pay an order. Keeps a transaction and a row lock open during a call to another service."""
    async with new_session.begin() as session:
        await session.execute(update(Order).where(Order.id == order_id).values(state="paying"))
        await ask_payment_provider()
        await session.execute(update(Order).where(Order.id == order_id).values(state="paid"))
    return {"id": order_id, "state": "paid"}


async def ask_payment_provider() -> None:
    """Wait, as for a slow service on the internet."""
    await asyncio.sleep(PAYMENT_S)


class Export:
    """An order that is sent in pages; keeps its connection for the next page."""

    def __init__(self, connection: AsyncConnection, order_id: int) -> None:
        self.connection = connection
        self.order_id = order_id

    async def next_page(self) -> dict[str, object]:
        """Return the rest of the order."""
        page = select(Order.id, Order.state).where(Order.id == self.order_id)
        row = (await self.connection.execute(page)).one()
        return {"id": row.id, "state": row.state, "more": True}


unfinished_exports: list[Export] = []


@app.get("/orders/{order_id}/export")
async def export_order(order_id: int) -> dict[str, object]:
    """Return an order's first page. LEAKS: closes only after a last page, never requested."""
    connection = await engine.connect()  # the leak: this is the line that poolscope reports
    export = Export(connection, order_id)
    unfinished_exports.append(export)
    return await export.next_page()

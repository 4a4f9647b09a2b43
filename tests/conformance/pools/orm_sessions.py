"""Sessions over the engines under test, as their users make them."""

from threading import get_ident
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import scoped_session, sessionmaker


class SessionUnderTest:
    """A synchronous session; it awaits nothing."""

    def __init__(self, engine: Engine, *, by_thread: bool) -> None:
        make = sessionmaker(engine)
        self._session: Any = scoped_session(make) if by_thread else make()
        self._raw: Any = None

    async def use(self, statement: str) -> None:
        self._session.execute(text(statement))
        self._raw = self._session.connection().connection.dbapi_connection

    async def commit(self) -> None:
        self._session.commit()

    async def close(self) -> None:
        self._session.close()

    def is_busy(self) -> bool:
        """Tell whether a statement runs; asks the driver, not the session."""
        return bool(self._raw.lock.locked())


class AsyncSessionUnderTest:
    """An asynchronous session."""

    def __init__(self, engine: AsyncEngine, *, by_thread: bool) -> None:
        make = async_sessionmaker(engine)
        self._session: Any = async_scoped_session(make, get_ident) if by_thread else make()

    async def use(self, statement: str) -> None:
        await self._session.execute(text(statement))

    async def commit(self) -> None:
        await self._session.commit()

    async def close(self) -> None:
        await self._session.close()

    def is_busy(self) -> bool:
        """Not asked: tasks that are gathered begin one after another."""
        raise NotImplementedError

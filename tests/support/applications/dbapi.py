"""A database that is only a pool's idea of one: connections that open, break and hang on demand."""

import sqlite3
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.pool import QueuePool


class Server:
    """What the connections connect to; `refusing` makes new ones fail, `broken` the old ones."""

    def __init__(self) -> None:
        self.refusing = False
        self.broken = False

    def connect(self) -> sqlite3.Connection:
        if self.refusing:
            raise ConnectionRefusedError("connection refused")
        return sqlite3.connect(":memory:", factory=_connection_of(self), check_same_thread=False)


def _connection_of(server: Server) -> type[sqlite3.Connection]:
    class Connection(sqlite3.Connection):
        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            if server.broken:
                raise sqlite3.OperationalError("server closed the connection")
            return super().cursor(*args, **kwargs)

        def __del__(self) -> None:
            self.close()  # from Python 3.13 on, sqlite warns of what a test does not close

    return Connection


def an_engine(server: Server | None = None, **options: Any) -> Engine:
    """Return an engine over a QueuePool of 2 + 1 connections; options override."""
    server = server or Server()
    defaults = {"poolclass": QueuePool, "pool_size": 2, "max_overflow": 1, "pool_timeout": 0.01}
    engine = create_engine("sqlite://", creator=server.connect, **{**defaults, **options})
    dialect: Any = engine.dialect
    dialect.is_disconnect = lambda error, *_: "closed" in str(error)
    return engine

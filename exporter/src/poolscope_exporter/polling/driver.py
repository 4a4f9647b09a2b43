"""Declare the part of psycopg's connection that is used, so that a test can replace it."""

from collections.abc import Mapping
from typing import Any, Protocol

import psycopg
from psycopg.rows import DictRow


class Rows(Protocol):
    """The answer to a statement."""

    async def fetchall(self) -> list[DictRow]:
        """Return all rows."""


class Driver(Protocol):
    """One connection of the driver."""

    @property
    def closed(self) -> bool:
        """Return whether the connection is closed, without a request to the server."""

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """Return addresses and process id of the connection."""

    def fileno(self) -> int:
        """Return the descriptor of the connection's socket."""

    async def execute(
        self, query: bytes, params: Mapping[str, Any] | None = None, *, prepare: bool | None = None
    ) -> Rows:
        """Send a statement and wait for its answer; raises psycopg.Error."""

    async def close(self) -> None:
        """Close the connection."""

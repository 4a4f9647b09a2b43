"""Hold the one connection to a server, and cut it if an answer is late."""

from collections.abc import Mapping
from typing import Any, Protocol

import psycopg
from psycopg.rows import DictRow

from poolscope_exporter.polling.deadline import deadline
from poolscope_exporter.polling.driver import Driver
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError


class Peer(Protocol):
    """A server and the one connection to it; every failure is a ServerUnavailableError."""

    name: str

    @property
    def is_connected(self) -> bool:
        """Return whether the connection is open, without a request to the server."""

    async def connect(self) -> None:
        """Open a new connection."""

    async def end_poll(self) -> None:
        """Close the connection if the server may wait for it; otherwise keep it."""

    async def close(self) -> None:
        """Close the connection, if there is one."""


class Opener(Protocol):
    """A maker of connections, which also translates the driver's errors."""

    async def open(self) -> Driver:
        """Return a new connection; raise ServerUnavailableError on failure."""

    def statement_error(self, exc: psycopg.Error) -> ServerUnavailableError:
        """Return the error of a statement as a ServerUnavailableError, without any secret."""


class PollConnection:
    """One connection to a server; every failure is a ServerUnavailableError."""

    def __init__(self, opener: Opener, answer_within_s: float) -> None:
        self._opener = opener
        self._answer_within_s = answer_within_s
        self._driver: Driver | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the connection is open, without a request to the server."""
        return self._driver is not None and not self._driver.closed

    @property
    def connection_info(self) -> psycopg.ConnectionInfo | None:
        """Return libpq's information on the connection, or None without one."""
        return self._driver.info if self._driver else None

    @property
    def is_hot_standby(self) -> bool:
        """Return whether the server last announced that it is a replica; before 14 none does."""
        info = self.connection_info
        return info is not None and info.parameter_status("in_hot_standby") == "on"

    async def open_anew(self) -> None:
        """Open the connection; an existing one is closed first."""
        await self.close()
        self._driver = await self._opener.open()

    async def fetch_rows(
        self, statement: bytes, parameters: Mapping[str, Any] | None = None
    ) -> list[DictRow]:
        """Return the rows of a statement; cut the connection if they do not arrive in time."""
        driver = self._driver
        if driver is None:
            raise ServerUnavailableError(Reason.TERMINATED, "not connected")
        with deadline(driver, self._answer_within_s) as limit:
            try:
                # A cursor that binds on the client side, as PgBouncer's console needs, ignores
                # `prepare`.
                cursor = await driver.execute(statement, parameters, prepare=True)
                return await cursor.fetchall()
            except psycopg.Error as exc:
                if limit.has_passed:
                    raise ServerUnavailableError(
                        Reason.TIMEOUT, f"no answer within {self._answer_within_s:g} s"
                    ) from exc
                raise self._opener.statement_error(exc) from exc

    async def close(self) -> None:
        """Close the connection, if there is one."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

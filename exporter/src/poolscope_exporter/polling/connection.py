"""Hold the one connection to a server: cut if an answer is late, closed as a policy requires."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg.rows import DictRow

from poolscope_exporter import clock
from poolscope_exporter.polling.deadline import deadline
from poolscope_exporter.polling.driver import Driver
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """The age at which a connection is closed, checked when a poll ends and never within one.

    `Pace.kept_idle_s` closes a younger connection that no poll uses.
    """

    longest_s: float

    def has_expired(self, age_s: float) -> bool:
        """Return whether a connection of this age must be closed."""
        return age_s >= self.longest_s


FOR_EVER = KeepPolicy(math.inf)
"""For PostgreSQL: a full server would accept no new connection from the exporter."""

FOR_A_BURST = KeepPolicy(5.0)
"""For PgBouncer: polls in quick succession share a connection, so that its log stays short.

PgBouncer 1.23 and later waits at SIGTERM until every client has left, also the exporter.
"""


class Peer(Protocol):
    """A server and the one connection to it; every failure is a ServerUnavailableError."""

    name: str

    @property
    def is_connected(self) -> bool:
        """Return whether the connection is open, without a request to the server."""

    async def connect(self) -> None:
        """Open a new connection."""

    async def end_poll(self) -> None:
        """Close the connection unless it is kept for the next poll."""

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

    def __init__(
        self,
        opener: Opener,
        answer_within_s: float,
        keep: KeepPolicy = FOR_EVER,
        *,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._opener = opener
        self._answer_within_s = answer_within_s
        self._keep = keep
        self._monotonic = monotonic
        self._driver: Driver | None = None
        self._opened_at_s = 0.0

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
        self._opened_at_s = self._monotonic()

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

    async def close_unless_kept(self) -> None:
        """Close the connection if the policy no longer keeps it."""
        if self._keep.has_expired(self._monotonic() - self._opened_at_s):
            await self.close()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

"""Open a connection to a server with the current password and within a deadline.

psycopg resolves the name at each connect and tries its addresses in turn. libpq handles TLS,
service files and password files.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row

from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import (
    Reason,
    ServerUnavailableError,
    first_line,
    reason_of,
    telling_line,
)
from poolscope_exporter.polling.passwords import Passwords

APPLICATION_NAME = "poolscope-exporter"
CONNECT_DEADLINE_S = 10.0
ATTEMPT_DEADLINE_S = 3
"""For each address of the server's name."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The way to connect to a server; failures are ServerUnavailableErrors without any secret.

    `session_settings` are applied when the session starts, after those of the DSN. PgBouncer's
    console needs a cursor that binds parameters on the client side.
    """

    dsn: Dsn
    passwords: Passwords | None = None
    session_settings: Mapping[str, str] = field(default_factory=dict)
    cursor_factory: type[psycopg.AsyncCursor[DictRow]] = psycopg.AsyncCursor[DictRow]

    async def open(self) -> psycopg.AsyncConnection[DictRow]:
        """Return a new connection."""
        password = await self.passwords.fetch() if self.passwords else None
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                return await self._connect(password)
        except psycopg.Error as exc:
            raise self._unavailable(exc, password) from exc
        except TimeoutError as exc:
            raise ServerUnavailableError(
                Reason.TIMEOUT, f"no connection within {CONNECT_DEADLINE_S:g} s"
            ) from exc

    def statement_error(self, exc: psycopg.Error) -> ServerUnavailableError:
        """Return the error of a statement as a ServerUnavailableError."""
        return ServerUnavailableError(reason_of(exc), self.dsn.redact(first_line(exc)))

    async def _connect(self, password: str | None) -> psycopg.AsyncConnection[DictRow]:
        dsn = self.dsn.reveal()
        return await psycopg.AsyncConnection.connect(
            dsn if password is None else make_conninfo(dsn, password=password),
            autocommit=True,  # in a transaction, the view of the sessions is frozen
            cursor_factory=self.cursor_factory,
            row_factory=dict_row,
            application_name=APPLICATION_NAME,
            connect_timeout=ATTEMPT_DEADLINE_S,
            tcp_user_timeout=5000,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            options=self._options(),
        )

    def _options(self) -> str | None:
        configured = str(conninfo_to_dict(self.dsn.reveal()).get("options") or "")
        ours = " ".join(f"-c {name}={value}" for name, value in self.session_settings.items())
        return f"{configured} {ours}".strip() or None

    def _unavailable(self, exc: psycopg.Error, password: str | None) -> ServerUnavailableError:
        message = self.dsn.redact(telling_line(exc))
        if password:
            message = message.replace(password, "***")
        return ServerUnavailableError(reason_of(exc), message)

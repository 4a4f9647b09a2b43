"""Open a connection to a server with the current password and within a deadline.

psycopg resolves the name at each connect and tries its addresses in turn. libpq handles TLS,
service files and password files.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
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

    `session_settings` are applied when the session starts, after those of the DSN. `later_settings`
    are applied once libpq has chosen the server: `target_session_attrs` compares the session's own
    default_transaction_read_only. PgBouncer's console needs a cursor that binds parameters on the
    client side.
    """

    dsn: Dsn
    passwords: Passwords | None = None
    session_settings: Mapping[str, str] = field(default_factory=dict)
    later_settings: Mapping[str, str] = field(default_factory=dict)
    cursor_factory: type[psycopg.AsyncCursor[DictRow]] = psycopg.AsyncCursor[DictRow]

    async def open(self) -> psycopg.AsyncConnection[DictRow]:
        """Return a new connection."""
        password = await self.passwords.fetch() if self.passwords else None
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                connection = await self._connect(password)
                await self._apply_later_settings(connection)
                return connection
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
            client_encoding="utf8",  # with SQL_ASCII, psycopg returns bytes for every name
            connect_timeout=ATTEMPT_DEADLINE_S,
            tcp_user_timeout=5000,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            options=self._options(),
        )

    async def _apply_later_settings(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        try:
            for name, value in self.later_settings.items():
                statement = sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                await connection.execute(statement)
        except BaseException:  # also if the time is over: without a close it would use a slot
            await connection.close()
            raise

    def _options(self) -> str | None:
        configured = self.dsn.parameter("options") or os.environ.get("PGOPTIONS", "")
        ours = " ".join(f"-c {name}={value}" for name, value in self.session_settings.items())
        return f"{configured} {ours}".strip() or None

    def _unavailable(self, exc: psycopg.Error, password: str | None) -> ServerUnavailableError:
        message = self.dsn.redact(telling_line(exc))
        if password:
            message = message.replace(password, "***")
        return ServerUnavailableError(reason_of(exc), message)

"""Open the one connection to a server: with the password of the moment, and bounded on all sides.

The name is resolved at each connect, and its addresses are tried in turn, by psycopg; TLS, service
and password files are libpq's.
"""

import asyncio
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from poolscope_exporter.polling.deadline import Connection
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import (
    Reason,
    ServerUnavailableError,
    reason_of,
    telling_line,
)
from poolscope_exporter.polling.passwords import Passwords

APPLICATION_NAME = "poolscope-exporter"
CONNECT_DEADLINE_S = 10.0
ATTEMPT_DEADLINE_S = 3
"""Of each address of the server's name."""

_SETTINGS = {
    "statement_timeout": "2000",
    "lock_timeout": "200",
    "idle_in_transaction_session_timeout": "10000",
    "default_transaction_read_only": "on",
    "search_path": "pg_catalog",
    "work_mem": "16MB",
    # A session of ours that the network cut off takes a slot until the server notices: in a minute.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""Of our session: the server gives up before we do, writes nothing, and spills no poll to disk."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How to connect to a server; failures are ServerUnavailableErrors without any secret."""

    dsn: Dsn
    passwords: Passwords | None = None

    async def open(self) -> Connection:
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

    async def _connect(self, password: str | None) -> Connection:
        dsn = self.dsn.reveal()
        return await psycopg.AsyncConnection.connect(
            dsn if password is None else make_conninfo(dsn, password=password),
            autocommit=True,  # a snapshot of the sessions lasts as long as a transaction
            row_factory=dict_row,
            application_name=APPLICATION_NAME,
            connect_timeout=ATTEMPT_DEADLINE_S,
            tcp_user_timeout=5000,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            options=_options(self.dsn),
        )

    def _unavailable(self, exc: psycopg.Error, password: str | None) -> ServerUnavailableError:
        message = self.dsn.redact(telling_line(exc))
        if password:
            message = message.replace(password, "***")
        return ServerUnavailableError(reason_of(exc), message)


def _options(dsn: Dsn) -> str:
    configured = str(conninfo_to_dict(dsn.reveal()).get("options") or "")
    ours = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    return f"{configured} {ours}".strip()

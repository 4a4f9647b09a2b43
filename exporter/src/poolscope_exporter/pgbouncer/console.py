"""Ask a PgBouncer about its clients and servers, over one connection to its console that is kept.

The console knows only the simple protocol, and no parameters, hence the cursor that sends both.
One SHOW SOCKETS is one moment: the process answers it in one piece, so that the references
between its rows hold. Two commands (SHOW CLIENTS, SHOW SERVERS) would be two moments.
"""

import asyncio
from dataclasses import dataclass, replace

import psycopg
from psycopg.rows import DictRow, dict_row

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerLimits
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerSample
from poolscope_exporter.pgbouncer.rows import limits_of, sample_of, shares_its_port, timeouts_of
from poolscope_exporter.polling.deadline import Connection, deadline
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import (
    Reason,
    ServerUnavailableError,
    first_line,
    reason_of,
)

APPLICATION_NAME = "poolscope-exporter"
CONNECT_DEADLINE_S = 10.0
COMMAND_DEADLINE_S = 3.0


@dataclass(frozen=True, slots=True)
class BouncerFacts:
    """What hardly changes of a bouncer; time-outs are seconds by their names, 0 for none.

    `timeouts_s` and `limits` are None where the bouncer refuses to tell its settings.
    """

    version: str
    timeouts_s: dict[str, float] | None
    shares_its_port: bool
    limits: BouncerLimits | None = None


class PgBouncerConsole:
    """One bouncer and our connection to its console; failures are ServerUnavailableErrors."""

    def __init__(self, dsn: Dsn, name: str | None = None) -> None:
        self.name = name or str(dsn)
        self._dsn = dsn
        self._connection: Connection | None = None
        self._version = ""

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection is open, as far as is known without asking."""
        return self._connection is not None and not self._connection.closed

    async def connect(self) -> None:
        """Open the connection anew, and ask for the version."""
        await self.close()
        self._connection = await self._open()
        self._version = str((await self._fetch("SHOW VERSION"))[0]["version"])

    async def facts(self) -> BouncerFacts:
        """Return the version, and of the settings what the bouncer tells: one refusal is no end."""
        config = await self._told("SHOW CONFIG")
        if config is None:
            return BouncerFacts(self._version, None, shares_its_port=False)
        databases, users = await self._told("SHOW DATABASES"), await self._told("SHOW USERS")
        return BouncerFacts(
            version=self._version,
            timeouts_s=timeouts_of(config),
            shares_its_port=shares_its_port(config),
            limits=limits_of(config, databases or (), users or ()),
        )

    async def read_sockets(self) -> BouncerSample:
        """Return all clients and server connections of this moment."""
        taken_at_s = clock.monotonic()
        rows = await self._fetch("SHOW SOCKETS")
        try:
            sample = sample_of(self.name, rows, taken_at_s, clock.monotonic())
        except KeyError as exc:
            raise ServerUnavailableError(
                Reason.OTHER, f"SHOW SOCKETS of {self._version} has no column {exc}"
            ) from exc
        return replace(sample, addresses=sample.addresses | self.known_addresses())

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def known_addresses(self) -> frozenset[Endpoint]:
        """Return the addresses that are known of the bouncer: as configured, as connected to."""
        host, port = self._dsn.host, int(self._dsn.port)
        found = {Endpoint(host, port)}
        if host.startswith("/"):
            # A Unix socket is named by the port on which the same process listens, here.
            found.add(Endpoint("localhost", port))
        if self._connection is not None and (address := self._connection.info.hostaddr):
            found.add(Endpoint(address, self._connection.info.port))
        return frozenset(found)

    async def _open(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                return await psycopg.AsyncConnection.connect(
                    self._dsn.reveal(),
                    autocommit=True,  # the console has no transactions
                    cursor_factory=psycopg.AsyncClientCursor[DictRow],
                    row_factory=dict_row,
                    application_name=APPLICATION_NAME,
                    connect_timeout=3,
                    tcp_user_timeout=5000,
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=3,
                )
        except psycopg.Error as exc:
            raise self._unavailable(exc) from exc
        except TimeoutError as exc:
            raise ServerUnavailableError(
                Reason.TIMEOUT, f"no connection within {CONNECT_DEADLINE_S:g} s"
            ) from exc

    async def _told(self, command: str) -> list[DictRow] | None:
        """Return what the bouncer tells, None where it refuses; other failures are raised."""
        try:
            return await self._fetch(command)
        except ServerUnavailableError as exc:
            if not self.is_connected or exc.reason is Reason.TIMEOUT:
                raise
            return None

    async def _fetch(self, command: str) -> list[DictRow]:
        connection = self._connection
        if connection is None:
            raise ServerUnavailableError(Reason.TERMINATED, "not connected")
        with deadline(connection, COMMAND_DEADLINE_S) as limit:
            try:
                return await (await connection.execute(command.encode())).fetchall()
            except psycopg.Error as exc:
                if limit.has_passed:
                    raise ServerUnavailableError(
                        Reason.TIMEOUT, f"no answer within {COMMAND_DEADLINE_S:g} s"
                    ) from exc
                raise self._unavailable(exc) from exc

    def _unavailable(self, exc: psycopg.Error) -> ServerUnavailableError:
        return ServerUnavailableError(reason_of(exc), self._dsn.redact(first_line(exc)))

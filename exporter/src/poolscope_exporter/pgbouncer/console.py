"""Ask a PgBouncer about its clients and servers, over one connection to its console.

The console knows only the simple protocol, and no parameters, hence the cursor that sends both.
One SHOW SOCKETS is one moment: the process answers it in one piece, so that the references
between its rows hold. Two commands (SHOW CLIENTS, SHOW SERVERS) would be two moments.
"""

from dataclasses import dataclass, replace

import psycopg
from psycopg.rows import DictRow

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerLimits
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerSample
from poolscope_exporter.pgbouncer.rows import limits_of, sample_of, shares_its_port, timeouts_of
from poolscope_exporter.polling.connection import FOR_EVER, KeepPolicy, PollConnection
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.opening import Opening

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
    """One bouncer and our connection to its console; failures are ServerUnavailableErrors.

    `keep` is how long the connection is kept: a shutdown that waits for the clients waits for it.
    """

    def __init__(self, dsn: Dsn, name: str | None = None, keep: KeepPolicy = FOR_EVER) -> None:
        self.name = name or str(dsn)
        self._dsn = dsn
        opening = Opening(dsn, cursor_factory=psycopg.AsyncClientCursor[DictRow])
        self._connection = PollConnection(opening, COMMAND_DEADLINE_S, keep)
        self._version = ""

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection is open, as far as is known without asking."""
        return self._connection.is_open

    async def connect(self) -> None:
        """Open the connection anew, and ask for the version."""
        await self._connection.open_anew()
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

    async def end_poll(self) -> None:
        """Close the connection where it is not kept for the next poll."""
        await self._connection.close_unless_kept()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        await self._connection.close()

    def known_addresses(self) -> frozenset[Endpoint]:
        """Return the addresses that are known of the bouncer: as configured, as connected to."""
        host, port = self._dsn.host, int(self._dsn.port)
        found = {Endpoint(host, port)}
        if host.startswith("/"):
            # A Unix socket is named by the port on which the same process listens, here.
            found.add(Endpoint("localhost", port))
        info = self._connection.connection_info
        if info is not None and info.hostaddr:
            found.add(Endpoint(info.hostaddr, info.port))
        return frozenset(found)

    async def _told(self, command: str) -> list[DictRow] | None:
        """Return what the bouncer tells, None where it refuses; other failures are raised."""
        try:
            return await self._fetch(command)
        except ServerUnavailableError as exc:
            if not self.is_connected or exc.reason is Reason.TIMEOUT:
                raise
            return None

    async def _fetch(self, command: str) -> list[DictRow]:
        return await self._connection.fetch_rows(command.encode())

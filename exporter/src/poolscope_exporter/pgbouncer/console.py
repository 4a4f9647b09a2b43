"""Query a PgBouncer about its clients and servers, over one connection to its console per poll.

The console supports only the simple protocol without parameters, so a client-side cursor binds
them. One SHOW SOCKETS is one moment: PgBouncer answers it in one piece, so the references between
its rows are consistent. Two commands (SHOW CLIENTS, SHOW SERVERS) would be two moments.
"""

from dataclasses import dataclass, replace

import psycopg
from psycopg.rows import DictRow

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerLimits
from poolscope_exporter.core.model.bouncer_traffic import BouncerTraffic
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerSample, PoolingSettings
from poolscope_exporter.pgbouncer.rows import (
    limits_of,
    pooling_of,
    sample_of,
    shares_its_port,
    timeouts_of,
)
from poolscope_exporter.pgbouncer.traffic_rows import pools_of, totals_of
from poolscope_exporter.polling.connection import PollConnection
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.opening import Opening

COMMAND_DEADLINE_S = 3.0


@dataclass(frozen=True, slots=True)
class BouncerFacts:
    """Rarely changing data of a PgBouncer; time-outs are seconds by their names, 0 for none.

    The fields `timeouts_s`, `limits` and `pooling` are None if the console refuses its settings.
    """

    version: str
    timeouts_s: dict[str, float] | None
    shares_its_port: bool
    limits: BouncerLimits | None = None
    pooling: PoolingSettings | None = None


class PgBouncerConsole:
    """One PgBouncer and the connection to its console; failures are ServerUnavailableErrors."""

    def __init__(self, dsn: Dsn, name: str | None = None) -> None:
        self.name = name or str(dsn)
        self._dsn = dsn
        opening = Opening(dsn, cursor_factory=psycopg.AsyncClientCursor[DictRow])
        self._connection = PollConnection(opening, COMMAND_DEADLINE_S)
        self._version = ""

    @property
    def endpoint(self) -> Endpoint:
        """Return the configured address; a folder if it is a Unix socket."""
        return Endpoint(self._dsn.host, int(self._dsn.port))

    @property
    def is_connected(self) -> bool:
        """Return whether the connection is open, without a request to PgBouncer."""
        return self._connection.is_open

    async def connect(self) -> None:
        """Open a new connection, and read the version."""
        await self._connection.open_anew()
        self._version = str((await self._fetch("SHOW VERSION"))[0]["version"])

    async def facts(self) -> BouncerFacts:
        """Return the version and the settings that PgBouncer shows; a refused one is left out."""
        config = await self._told("SHOW CONFIG")
        if config is None:
            return BouncerFacts(self._version, None, shares_its_port=False)
        databases, users = await self._told("SHOW DATABASES"), await self._told("SHOW USERS")
        return BouncerFacts(
            version=self._version,
            timeouts_s=timeouts_of(config),
            shares_its_port=shares_its_port(config),
            limits=limits_of(config, databases or (), users or ()),
            pooling=_pooling(self._version, config, databases, users),
        )

    async def read_sockets(self) -> BouncerSample:
        """Return all clients and server connections at this moment."""
        taken_at_s = clock.monotonic()
        rows = await self._fetch("SHOW SOCKETS")
        try:
            sample = sample_of(self.name, rows, taken_at_s, clock.monotonic())
        except KeyError as exc:
            raise ServerUnavailableError(
                Reason.OTHER, f"SHOW SOCKETS of {self._version} has no column {exc}"
            ) from exc
        return replace(sample, addresses=sample.addresses | self.known_addresses())

    async def read_traffic(self) -> BouncerTraffic:
        """Return the use of each pool and the totals of each database; None if refused."""
        pools, stats = await self._told("SHOW POOLS"), await self._told("SHOW STATS")
        return BouncerTraffic(
            pools=None if pools is None else pools_of(pools),
            totals=None if stats is None else totals_of(stats),
        )

    async def end_poll(self) -> None:
        """Close the connection: at SIGTERM, PgBouncer 1.23 and later wait for every client."""
        await self._connection.close()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        await self._connection.close()

    def known_addresses(self) -> frozenset[Endpoint]:
        """Return the addresses of the PgBouncer: the configured ones and the connected one."""
        host, port = self._dsn.host, int(self._dsn.port)
        found = {Endpoint(host, port)}
        if host.startswith("/"):
            # On a Unix socket, the process listens on this machine at the same port number.
            found.add(Endpoint("localhost", port))
        info = self._connection.connection_info
        if info is not None and info.hostaddr:
            found.add(Endpoint(info.hostaddr, info.port))
        return frozenset(found)

    async def _told(self, command: str) -> list[DictRow] | None:
        """Return the rows of a command, or None if it is refused; raise on other failures."""
        try:
            return await self._fetch(command)
        except ServerUnavailableError as exc:
            if not self.is_connected or exc.reason is Reason.TIMEOUT:
                raise
            return None

    async def _fetch(self, command: str) -> list[DictRow]:
        return await self._connection.fetch_rows(command.encode())


def _pooling(
    version: str,
    config: list[DictRow],
    databases: list[DictRow] | None,
    users: list[DictRow] | None,
) -> PoolingSettings:
    """Return the pooling settings; refused commands leave their pool modes out."""
    found = pooling_of(version, config, databases or (), users or ())
    return found if databases is not None and users is not None else found.without_modes()

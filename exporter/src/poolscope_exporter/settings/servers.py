"""Declare the settings of one server: its address, how to connect, and what to expect of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from pathlib import Path

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.idle_timeouts import declared
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.settings import values
from poolscope_exporter.settings.declaration import option


class Expects(StrEnum):
    """The role in replication that a server must have to be polled."""

    PRIMARY = "primary"
    REPLICA = "replica"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTarget:
    """One configured server, from its flags and variables, or from its table.

    None means unlimited or not configured. `password_file` is read, and `password_command` is run,
    again for each connection. The command is an argument list that runs without a shell.
    """

    dsn: Dsn = option(
        "--dsn",
        "DSN",
        "PostgreSQL server to poll; without it, the exporter only receives pushes",
        values.dsn,
        is_secret=True,
        in_chart=False,
    )
    password_file: Path | None = option(
        "--password-file",
        "FILE",
        "file with the password of the role in the DSN, read again for each connection",
        values.readable_file,
        default=None,
        in_chart=False,
    )
    password_command: tuple[str, ...] | None = option(
        "--password-command",
        "COMMAND",
        "command that prints the password (an IAM or Entra token), run again for each connection,"
        " without a shell",
        values.command,
        default=None,
        is_secret=True,
    )
    expects: Expects = option(
        "--expects",
        "ROLE",
        "role of the server in replication",
        values.Choice(Expects),
        default=Expects.ANY,
    )
    pgbouncers: tuple[Dsn, ...] = option(
        "--pgbouncer",
        "DSN",
        "admin console (database pgbouncer) of a PgBouncer between apps and server",
        values.consoles,
        default=(),
        is_secret=True,
        is_repeatable=True,
    )
    poll_interval_s: float = option(
        "--poll-interval",
        "SECONDS",
        "time between two polls of the server",
        values.Seconds(0.2, 300),
        default=5.0,
    )
    name: str = option(
        "--server-name",
        "NAME",
        "name of the server in metrics",
        values.name,
        field="server_name",
        default_text="its host:port",
    )
    aliases: tuple[Endpoint, ...] = option(
        "--server-alias",
        "HOST:PORT",
        "further address by which apps connect to the server",
        values.endpoints,
        field="server_aliases",
        default=(),
        is_repeatable=True,
    )
    cpus: float | None = option(
        "--server-cpus",
        "NUMBER",
        "number of CPUs of the server, to compare with its active sessions",
        values.PositiveNumber(4096),
        field="server_cpus",
        default=None,
    )
    reserved_slots: int = option(
        "--reserved-slots",
        "NUMBER",
        "slots that a managed service reserves in addition to the server's settings",
        values.WholeNumber(0, 10_000),
        default=0,
    )
    shown_databases: frozenset[str] | None = option(
        "--show-database",
        "NAME",
        "database with sessions to show; those of other databases are only counted",
        values.names,
        default=None,
        default_text="all",
        is_repeatable=True,
    )
    shown_roles: frozenset[str] | None = option(
        "--show-role",
        "NAME",
        "role with sessions to show; those of other roles are only counted",
        values.names,
        default=None,
        default_text="all",
        is_repeatable=True,
    )
    proxy_idle_timeout_s: float | None = option(
        "--proxy-idle-timeout",
        "SECONDS",
        "idle time-out of a proxy without an admin console (RDS Proxy, Cloud SQL),"
        " 0 if there is none",
        values.Seconds(0, 7 * 86_400),
        default=None,
    )
    nat_idle_timeout_s: float | None = option(
        "--nat-idle-timeout",
        "SECONDS",
        "idle time-out of a NAT gateway or load balancer before the server, 0 if there is none",
        values.Seconds(0, 7 * 86_400),
        default=None,
    )

    @property
    def configured(self) -> ConfiguredServer:
        """Return the settings for polling, linking and judging, without credentials."""
        return ConfiguredServer(
            server=self.name,
            addresses=self.addresses,
            expects=self.expects,
            reserved_slots=self.reserved_slots,
            cpus=self.cpus,
            idle_timeouts=declared(self.proxy_idle_timeout_s, self.nat_idle_timeout_s),
            shown_databases=self.shown_databases,
            shown_roles=self.shown_roles,
        )

    @property
    def addresses(self) -> frozenset[Endpoint]:
        """Return every address of the server in the configuration."""
        return frozenset(self.aliases) | frozenset(_endpoints(self.dsn))


def _endpoints(dsn: Dsn) -> Iterator[Endpoint]:
    # libpq accepts several hosts, with a port for each or one port for all.
    ports = dsn.port.split(",")
    for host, port in zip(dsn.host.split(","), cycle(ports), strict=False):
        yield Endpoint(host or "localhost", int(port or 5432))

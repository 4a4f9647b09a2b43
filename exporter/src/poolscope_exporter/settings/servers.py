"""Declare the settings of one server to watch: where it is, how to get in, what to expect of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from pathlib import Path

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.settings import values
from poolscope_exporter.settings.declaration import option


class Expects(StrEnum):
    """Which role in replication a server must have to be the one that was meant."""

    PRIMARY = "primary"
    REPLICA = "replica"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTarget:
    """One configured server, from the flags and variables of a single one, or from its table.

    None is unlimited, or not configured. `password_file` and `password_command` (an argument list,
    run without a shell) are read and run again for each connection.
    """

    dsn: Dsn = option(
        "--dsn",
        "DSN",
        "PostgreSQL server to watch; without it the exporter only receives",
        values.dsn,
        is_secret=True,
        in_chart=False,
    )
    password_file: Path | None = option(
        "--password-file",
        "FILE",
        "file with the password of the DSN's role, read again for each connection",
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
        "console (database pgbouncer) of a PgBouncer between apps and server",
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
        "another address by which apps reach the server",
        values.endpoints,
        field="server_aliases",
        default=(),
        is_repeatable=True,
    )
    cpus: float | None = option(
        "--server-cpus",
        "NUMBER",
        "CPUs of the server, to compare its load with",
        values.PositiveNumber(4096),
        field="server_cpus",
        default=None,
    )
    reserved_slots: int = option(
        "--reserved-slots",
        "NUMBER",
        "sessions that a managed service keeps for itself, beyond the server's own settings",
        values.WholeNumber(0, 10_000),
        default=0,
    )
    shown_databases: frozenset[str] | None = option(
        "--show-database",
        "NAME",
        "database whose sessions are shown; sessions of others are only counted",
        values.names,
        default=None,
        default_text="all",
        is_repeatable=True,
    )
    shown_roles: frozenset[str] | None = option(
        "--show-role",
        "NAME",
        "role whose sessions are shown; sessions of others are only counted",
        values.names,
        default=None,
        default_text="all",
        is_repeatable=True,
    )
    proxy_idle_timeout_s: float | None = option(
        "--proxy-idle-timeout",
        "SECONDS",
        "idle time-out of a proxy in between that poolscope cannot ask (RDS Proxy, Cloud SQL)",
        values.Seconds(1, 7 * 86_400),
        default=None,
    )

    @property
    def configured(self) -> ConfiguredServer:
        """Return what polling, linking and judging need of it, without how to get in."""
        return ConfiguredServer(
            server=self.name,
            addresses=self.addresses,
            expects=self.expects,
            reserved_slots=self.reserved_slots,
            cpus=self.cpus,
            proxy_idle_timeout_s=self.proxy_idle_timeout_s,
            shown_databases=self.shown_databases,
            shown_roles=self.shown_roles,
        )

    @property
    def addresses(self) -> frozenset[Endpoint]:
        """Return every address by which the configuration names the server."""
        return frozenset(self.aliases) | frozenset(_endpoints(self.dsn))


def _endpoints(dsn: Dsn) -> Iterator[Endpoint]:
    # libpq takes several hosts, with as many ports or with one for all of them.
    ports = dsn.port.split(",")
    for host, port in zip(dsn.host.split(","), cycle(ports), strict=False):
        yield Endpoint(host or "localhost", int(port or 5432))

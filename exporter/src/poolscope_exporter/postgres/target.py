"""Describe one server to watch, as configured: where it is, how to get in, what to expect of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle
from pathlib import Path

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.polling.dsn import Dsn

DEFAULT_POLL_INTERVAL_S = 5.0


class Expects(StrEnum):
    """Which role in replication a server must have to be the one that was meant."""

    PRIMARY = "primary"
    REPLICA = "replica"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """One configured server; None is unlimited, or not configured.

    `password_file` and `password_command` (an argument list, run without a shell) are read and run
    anew for each connection. `reserved_slots` are those that a managed service keeps for itself,
    beyond what the server's own settings say. `shown_databases` and `shown_roles` name the only
    ones whose sessions may be shown. `proxy_idle_timeout_s` is that of a proxy in between which
    cannot be asked (RDS Proxy, Cloud SQL Auth Proxy).
    """

    name: str
    dsn: Dsn
    aliases: tuple[Endpoint, ...] = ()
    password_file: Path | None = None
    password_command: tuple[str, ...] | None = field(default=None, repr=False)
    expects: Expects = Expects.ANY
    poll_interval_s: float = DEFAULT_POLL_INTERVAL_S
    pgbouncers: tuple[Dsn, ...] = ()
    reserved_slots: int = 0
    cpus: float | None = None
    shown_databases: frozenset[str] | None = None
    shown_roles: frozenset[str] | None = None
    proxy_idle_timeout_s: float | None = None

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

"""Make the poller of a configured server."""

from collections.abc import Sequence

from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.polling.passwords import passwords_of
from poolscope_exporter.postgres.poller import Poller, Refreshable
from poolscope_exporter.postgres.server import PostgresServer
from poolscope_exporter.settings.servers import ServerTarget


def poller_of(
    target: ServerTarget,
    correlator: Correlator,
    bouncers: Sequence[Refreshable] = (),
    *,
    counts_orphans: bool = True,
) -> Poller:
    """Return the poller of the target, with a separate connection."""
    return Poller(
        server_of(target),
        correlator,
        target.poll_interval_s,
        bouncers,
        configured=target.configured,
        counts_orphans=counts_orphans,
    )


def server_of(target: ServerTarget) -> PostgresServer:
    """Return the server of the target, not connected yet."""
    passwords = passwords_of(target.password_file, target.password_command)
    return PostgresServer(target.name, target.dsn, target.aliases, passwords)

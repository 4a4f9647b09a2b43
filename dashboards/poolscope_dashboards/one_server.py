"""Select the one server that the dashboard on a server is about, and the pools that lead to it."""

from poolscope_alerts.promql import Labels, by, duration, selector
from poolscope_dashboards.selection import (
    OF_EXPORTER,
    Selection,
    at_server,
    joined,
    per_server,
    summed,
)
from poolscope_exporter.core import catalogue as own

HERE = 'server="$server"'
EVERYBODY = Selection("")

UP = per_server(own.SERVER_UP, HERE)
FREE = per_server(own.SERVER_HEADROOM, HERE)
LIMIT = per_server(own.SERVER_CONNECTIONS_LIMIT, f'{HERE}, scope="server"')
STATES = per_server(own.SERVER_CONNECTIONS, HERE, ("server", "state"))
SESSIONS = summed(STATES, ("server",))

_ACTIVE = selector(own.SERVER_ACTIVE_ON_CPU.name, joined(OF_EXPORTER, HERE), over=duration(300))
BUSY = f"{by(('server',), f'avg_over_time({_ACTIVE})')} / {per_server(own.SERVER_CPUS, HERE)}"

NO_SERVER = "no data: no exporter asks this server, or it does not answer"
NOBODY = "no data: pools reach it by an address that is not its name here (--server-name, a proxy)"
BY_NAME = (
    "Pools are found by their address, which is the server's name unless --server-name gives it "
    "another, an alias is used, or a proxy is between."
)


def here(expression: str, labels: Labels, how: str = "sum") -> str:
    """Aggregate over the pools that are configured with this server's address."""
    return by(labels, f"{at_server(expression)} and on (server) {UP}", how)

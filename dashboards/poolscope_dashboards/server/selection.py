"""Select the one server that the dashboard on a server is about, and the pools that lead to it."""

from poolscope_alerts.promql import POOL, Labels, by, duration, selector
from poolscope_dashboards.kit.selection import (
    OF_EXPORTER,
    Selection,
    joined,
    per_server,
    summed,
)
from poolscope_exporter.core import own_metrics as own

HERE = 'server="$server"'
EVERYBODY = Selection("")

UP = per_server(own.SERVER_UP, HERE)
FREE = per_server(own.SERVER_HEADROOM, HERE)
LIMIT = per_server(own.SERVER_CONNECTIONS_LIMIT, f'{HERE}, scope="server"')
STATES = per_server(own.SERVER_CONNECTIONS, HERE, ("server", "state"))
SESSIONS = summed(STATES, ("server",))

_ACTIVE = selector(own.SERVER_ACTIVE_ON_CPU.name, joined(OF_EXPORTER, HERE), over=duration(300))
BUSY = f"{by(('server',), f'avg_over_time({_ACTIVE})')} / {per_server(own.SERVER_CPUS, HERE)}"

NO_SERVER = "no data: no exporter polls this server, or it does not answer"
NOBODY = "no pool is known to lead here, or no exporter judges pools"
DIRECT = f'{HERE}, pgbouncer=""'
BY_LINKS = (
    "A pool leads to this server by its address. If that is an alias, the links of its "
    "connections decide."
)


def here(expression: str, labels: Labels = (), how: str = "sum", *, of: str = DIRECT) -> str:
    """Aggregate over the pools that lead to this server; `of` selects how: by default directly."""
    return by(labels, f"{expression} and on ({', '.join(POOL)}) {EVERYBODY.leading_to(of)}", how)

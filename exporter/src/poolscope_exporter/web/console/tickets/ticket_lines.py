"""Write the lines that the texts for tickets share: links, and one fact for each line."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

from poolscope_exporter.core.judging.overview.service_pools import PoolName

RUNBOOKS_URL: Final = "https://github.com/poolscope/poolscope/blob/main/alerts/runbooks"

POOL_DASHBOARD: Final = "poolscope-pool"
SERVER_DASHBOARD: Final = "poolscope-server"
"""The UIDs of the dashboards of one pool and of one server."""


def ticket_of(lines: Iterable[str]) -> str:
    """Return the text; a name from outside with a line break cannot add a line, such as SQL."""
    return "\n".join(" ".join(line.splitlines()) for line in lines)


def runbook_line(alert: str) -> str:
    """Return the address of the runbook of an alert."""
    return f"runbook: {RUNBOOKS_URL}/{alert}.md"


def pool_dashboard_line(name: PoolName) -> str:
    """Return the path of the dashboard of a pool; the exporter has no address of Grafana."""
    query = urlencode({"var-service": name.service, "var-pool": name.pool})
    return f"dashboard (path in Grafana): /d/{POOL_DASHBOARD}?{query}"


def server_dashboard_line(server: str) -> str:
    """Return the path of the dashboard of a server."""
    return f"dashboard (path in Grafana): /d/{SERVER_DASHBOARD}?{urlencode({'var-server': server})}"

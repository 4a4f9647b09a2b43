"""Build the dashboard on one pool: its diagnosis, its connections, and their holders."""

from poolscope_alerts.model import Component, Sources
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.glossary import words
from poolscope_dashboards.kit.variable import EXPORTERS, ONE_POOL, ONE_SERVICE, PROCESSES
from poolscope_dashboards.pool import configuration as pool_setup
from poolscope_dashboards.pool import holders as pool_owners
from poolscope_dashboards.pool import now as pool_now
from poolscope_dashboards.pool import returns as pool_returns
from poolscope_dashboards.pool import waits as pool_waits
from poolscope_dashboards.pool.selection import IN_ALERTS


def pool(sources: Sources) -> Board:
    """Return the dashboard on one pool of a service, in all or some of its processes."""
    return Board(
        uid="poolscope-pool",
        description=(
            "One pool: its diagnosis, its connections, the waits of its callers, the holders of "
            "its connections, leaks, and configuration."
        ),
        variables=(*EXPORTERS, ONE_SERVICE, ONE_POOL, PROCESSES),
        sections=(
            Section("", pool_now.panels(sources)),
            Section("Waiting", pool_waits.panels(sources)),
            Section("Leaks and returns", pool_returns.panels(sources)),
            Section("Holders", pool_owners.panels()),
            Section("Configuration", pool_setup.panels(sources)),
            words(),
        ),
        alerts=firing(sources, (Component.POOL,), IN_ALERTS),
    )

"""Build the dashboard on one pool: what is the matter, where its connections are, who has them."""

from poolscope_alerts.model import Component, Sources
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.charts import text
from poolscope_dashboards.kit.glossary import GLOSSARY
from poolscope_dashboards.kit.variable import EXPORTERS, ONE_POOL, ONE_SERVICE, PROCESSES
from poolscope_dashboards.pool import configuration as pool_setup
from poolscope_dashboards.pool import holders as pool_owners
from poolscope_dashboards.pool import now as pool_now
from poolscope_dashboards.pool import returns as pool_returns
from poolscope_dashboards.pool import waits as pool_waits
from poolscope_dashboards.pool.selection import IN_ALERTS


def pool(sources: Sources) -> Board:
    """Return the dashboard on one pool of a service, in all or some of its processes."""
    words = text("Words", GLOSSARY, "What the words on these dashboards mean.", height=20)
    return Board(
        uid="poolscope-pool",
        description=(
            "The life of one pool: what is the matter, where its connections are, what callers "
            "wait for, who holds connections and whether they come back, and how it is configured."
        ),
        variables=(*EXPORTERS, ONE_SERVICE, ONE_POOL, PROCESSES),
        sections=(
            Section("", pool_now.panels(sources)),
            Section("What do callers wait for?", pool_waits.panels(sources)),
            Section("Do connections come back?", pool_returns.panels(sources)),
            Section("Who holds connections?", pool_owners.panels()),
            Section("Is it configured safely?", pool_setup.panels(sources)),
            Section("What the words mean", (words,), is_open=False),
        ),
        alerts=firing(sources, (Component.POOL,), IN_ALERTS),
    )

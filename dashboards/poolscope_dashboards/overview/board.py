"""Build the dashboard on all pools: the pools in trouble, and the reason."""

from poolscope_alerts.model import Component, Sources
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.glossary import words
from poolscope_dashboards.kit.variable import EXPORTERS, SERVICES
from poolscope_dashboards.overview import numbers, places, pools, saturation


def overview(sources: Sources) -> Board:
    """Return the dashboard that is opened first."""
    return Board(
        uid="poolscope-overview",
        description=(
            "Which connection pool is in trouble, and why? The worst is on top; a row opens the "
            "pool. Grey means unknown: it is never a sign of health."
        ),
        variables=(*EXPORTERS, SERVICES),
        sections=(
            Section("", (*numbers.panels(), *pools.panels(sources))),
            Section("Saturation and failures", saturation.panels(sources)),
            Section("Servers and settings", places.panels(sources)),
            words(),
        ),
        alerts=firing(sources, tuple(Component)),
    )

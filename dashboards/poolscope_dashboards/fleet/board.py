"""Build the dashboard on a fleet of hundreds of services: errors first, and never all lines."""

from poolscope_alerts.model import Component, Sources
from poolscope_dashboards.fleet import changes, errors, load, numbers
from poolscope_dashboards.fleet.selection import VARIABLES
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.glossary import words
from poolscope_dashboards.kit.variable import SERVICE_NAME


def fleet(sources: Sources) -> Board:
    """Return the dashboard on all services of the chosen clusters and namespaces."""
    return Board(
        uid="poolscope-fleet",
        description=(
            "Which of hundreds of services fails? Services with failed checkouts are first; a row "
            "opens the service. Charts show the services with the highest values. Marks show "
            "deploys and restarts."
        ),
        variables=VARIABLES,
        sections=(
            Section("", numbers.panels()),
            Section("Errors", errors.panels(sources)),
            Section("Waits and load", load.panels(sources)),
            words(),
        ),
        alerts=firing(sources, tuple(Component), f'{SERVICE_NAME}=~"$service|"'),
        changes=changes.marks(),
    )

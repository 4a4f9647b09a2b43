"""Build the dashboard on error budgets: the budget left, the burn, the failures."""

from poolscope_alerts.model import Component, Sources
from poolscope_dashboards.fleet import changes
from poolscope_dashboards.fleet.selection import VARIABLES
from poolscope_dashboards.kit.alert_annotations import firing
from poolscope_dashboards.kit.board import Board, Section
from poolscope_dashboards.kit.glossary import words
from poolscope_dashboards.kit.variable import SERVICE_NAME
from poolscope_dashboards.slo import budget, errors


def slo(sources: Sources) -> Board:
    """Return the dashboard on the budget of time-outs, and on the failures outside of it."""
    return Board(
        uid="poolscope-slo",
        description=(
            "How much of the error budget of each pool is left, and how fast does it burn? The "
            "ratios are those of the alert PoolTimeoutBudgetBurn. Errors of connecting are shown "
            "too: the budget does not count them."
        ),
        variables=VARIABLES,
        sections=(
            Section("", budget.panels(sources)),
            Section("Failures", errors.panels(sources)),
            Section("Burn", budget.burns(sources)),
            words(),
        ),
        alerts=firing(sources, (Component.POOL,), f'{SERVICE_NAME}=~"$service"'),
        changes=changes.marks(),
    )

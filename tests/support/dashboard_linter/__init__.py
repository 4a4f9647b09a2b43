"""The 17 rules of Grafana's dashboard-linter (as of version 0.1.0) in Python.

The program itself is a Go module that the public module proxy does not hand out. Where its own
rules look away (only some kinds of panels, counters without matchers), these do not.
"""

from collections.abc import Callable, Iterator, Mapping

from support.dashboard_linter.dashboard import Dashboard, Finding
from support.dashboard_linter.panel_rules import PANEL_RULES
from support.dashboard_linter.target_rules import TARGET_RULES
from support.dashboard_linter.variable_rules import VARIABLE_RULES

RULES: Mapping[str, Callable[[Dashboard], Iterator[Finding]]] = {
    **VARIABLE_RULES,
    **PANEL_RULES,
    **TARGET_RULES,
}


def lint(dashboard: Dashboard) -> list[Finding]:
    """Return everything that any rule objects to; a warning is an error."""
    return [finding for rule in RULES.values() for finding in rule(dashboard)]

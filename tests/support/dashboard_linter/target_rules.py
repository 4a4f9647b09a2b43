"""What each query must be: rules 10 to 16."""

from collections.abc import Callable, Iterator
from functools import partial

from promql_parser import Call, MatchOp, MatrixSelector, VectorSelector

from poolscope import catalogue as wire
from poolscope_alerts.promql import name as name_of
from support.dashboard_linter.dashboard import Dashboard, Finding, Json, Target, targets
from support.dashboard_linter.promql import RATE_INTERVAL, nodes, parsed, selectors

Rule = Callable[[Dashboard], Iterator[Finding]]
RATES = {"rate", "irate"}
OF_COUNTERS = RATES | {"increase"}
BORN_AT_ONE = {
    name_of(metric)
    for metric in (
        wire.LEAKS,
        wire.LEAKS_RECOVERED,
        wire.SESSION_ERRORS,
        # Those of the first minute: most of it may be over before the first scrape.
        wire.REQUEST_CHECKOUTS,
        wire.REQUEST_CONNECT_WAITS,
    )
}
"""Counters whose series begin at 1: a rate misses the first leak. The linter lets all counters
pass that have a matcher; these alone may here."""


def promql_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that a query is PromQL, or shows what another panel asked."""
    known = {panel.get("id") for panel in dashboard.get("panels", [])}
    for target in targets(dashboard):
        if not target.expression and target.json.get("panelId") in known - {None}:
            continue
        try:
            parsed(target.expression, dashboard)
        except ValueError as exc:
            yield _found("target-promql-rule", dashboard, target, str(exc))


def logql_rule(name: str, dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that no query is for Loki: the linter's rules on LogQL are not written here."""
    for target in targets(dashboard):
        sources: list[Json | None] = [
            each.get("datasource") for each in (target.json, target.panel)
        ]
        kinds = [each.get("type") for each in sources if isinstance(each, dict)]
        if "loki" in kinds:
            yield _found(name, dashboard, target, "asks Loki, which is not checked here")


def _objections(
    name: str, objection: Callable[[object], Iterator[str]], dashboard: Dashboard
) -> Iterator[Finding]:
    """Yield what a rule says of every query that is PromQL; another rule tells of the others."""
    for target in targets(dashboard):
        try:
            tree = parsed(target.expression, dashboard)
        except ValueError:
            continue
        for what in objection(tree):
            yield _found(name, dashboard, target, what)


def _rates_over_another_range(tree: object) -> Iterator[str]:
    for node, above in nodes(tree):
        if not isinstance(node, MatrixSelector) or node.range == RATE_INTERVAL or not above:
            continue
        nearest = above[-1]
        if isinstance(nearest, Call) and nearest.func.name in RATES:
            yield f"{nearest.func.name} over {node.range}, not over $__rate_interval"


def _selects_without(label: str, tree: object) -> Iterator[str]:
    for selector in selectors(tree):
        found = [each for each in selector.matchers.matchers if each.name == label]
        if not any(each.op == MatchOp.Re and each.value == f"${label}" for each in found):
            yield f'{selector.name} without {label}=~"${label}"'


def _counters_as_they_are(tree: object) -> Iterator[str]:
    for node, above in nodes(tree):
        if not isinstance(node, VectorSelector) or not _is_counter(str(node.name)):
            continue
        call = above[-2] if len(above) > 1 and isinstance(above[-1], MatrixSelector) else None
        if not isinstance(call, Call) or call.func.name not in OF_COUNTERS:
            yield f"{node.name} without rate, irate or increase"


def _is_counter(name: str) -> bool:
    return name.endswith("_total") and name not in BORN_AT_ONE


def _found(rule: str, dashboard: Dashboard, target: Target, what: str) -> Finding:
    return Finding(rule, dashboard["title"], what, target.panel.get("title", ""), target.index)


def _of_trees(name: str, objection: Callable[[object], Iterator[str]]) -> Rule:
    return partial(_objections, name, objection)


TARGET_RULES: dict[str, Rule] = {
    "target-logql-rule": partial(logql_rule, "target-logql-rule"),
    "target-logql-auto-rule": partial(logql_rule, "target-logql-auto-rule"),
    "target-promql-rule": promql_rule,
    "target-rate-interval-rule": _of_trees("target-rate-interval-rule", _rates_over_another_range),
    "target-job-rule": _of_trees("target-job-rule", partial(_selects_without, "job")),
    "target-instance-rule": _of_trees(
        "target-instance-rule", partial(_selects_without, "instance")
    ),
    "target-counter-agg-rule": _of_trees("target-counter-agg-rule", _counters_as_they_are),
}

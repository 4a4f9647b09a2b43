"""Holds the names and labels of PromQL against the catalogues."""

from collections.abc import Iterator, Mapping
from functools import cache

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, StringLiteral, VectorSelector

from poolscope import catalogue as wire
from poolscope.catalogue import SCOPE, Kind
from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.model import Record
from poolscope_alerts.prometheus_rules import groups
from poolscope_alerts.servers import USER_CPU
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS, OWN_METRICS, POOL_LABELS
from poolscope_exporter.core.prometheus_names import label_name, metric_name


@cache
def known_series() -> Mapping[str, frozenset[str]]:
    """Return every series that exists, with its labels; `job` and `instance` are nobody's."""
    own = {metric.name: frozenset(metric.labels) for metric in OWN_METRICS}
    users = {USER_CPU: frozenset({"server"})}
    return own | users | dict(_of_applications()) | dict(_recorded())


def _of_applications() -> Iterator[tuple[str, frozenset[str]]]:
    for metric in wire.METRICS:
        if metric.scope != SCOPE:
            continue
        identity = INSTANCE_LABELS if metric in wire.PROCESS_METRICS else POOL_LABELS
        labels = frozenset((*identity, *map(label_name, metric.attributes)))
        name = metric_name(metric.name, metric.kind, metric.unit)
        if metric.kind is not Kind.HISTOGRAM:
            yield name, labels
            continue
        yield f"{name}_bucket", labels | {"le"}
        yield from ((f"{name}{suffix}", labels) for suffix in ("_sum", "_count"))


def _recorded() -> Iterator[tuple[str, frozenset[str]]]:
    for group in groups(load_sources()):
        for rule in group.rules:
            if isinstance(rule, Record):
                yield rule.name, frozenset(rule.about)


def problems(expression: str) -> list[str]:
    """Return what is wrong with an expression; empty where nothing is."""
    try:
        tree = promql_parser.parse(expression)
    except ValueError as exc:
        return [str(exc)]
    nodes = nodes_of(tree)
    selectors = [node for node in nodes if isinstance(node, VectorSelector)]
    found = [problem for selector in selectors for problem in _selector_problems(selector)]
    labels = set().union(*(known_series().get(str(each.name), ()) for each in selectors))
    labels |= {target for node in nodes for target in _made_labels(node)}
    used = {label for node in nodes for label in _used_labels(node)}
    return found + [f"{label}: no series of the expression has it" for label in used - labels]


def functions(expression: str) -> set[str]:
    """Return the functions that an expression calls."""
    return {
        str(node.func.name)
        for node in nodes_of(promql_parser.parse(expression))
        if isinstance(node, Call)
    }


def nodes_of(tree: object) -> list[object]:
    found: list[object] = []
    promql_parser.walk(tree, found.append)  # type: ignore[arg-type]
    return found


def _selector_problems(selector: VectorSelector) -> Iterator[str]:
    name = str(selector.name)
    labels = known_series().get(name)
    if labels is None:
        yield f"{name}: is in no catalogue"
        return
    for matcher in selector.matchers.matchers:
        if matcher.name not in labels:
            yield f"{name}: has no label {matcher.name}"


def _made_labels(node: object) -> set[str]:
    if isinstance(node, Call) and node.func.name in {"label_replace", "label_join"}:
        target = node.args[1]
        return {str(target.val)} if isinstance(target, StringLiteral) else set()
    return set()


def _used_labels(node: object) -> set[str]:
    if isinstance(node, AggregateExpr) and node.modifier is not None:
        return set(map(str, node.modifier.labels))
    if isinstance(node, BinaryExpr) and node.modifier is not None and node.modifier.matching:
        return set(map(str, node.modifier.matching.labels))
    return set()

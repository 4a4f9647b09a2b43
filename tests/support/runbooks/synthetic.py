"""Series in which every query of every runbook has an answer, as promtool writes them."""

from collections.abc import Iterable, Iterator

import promql_parser
from promql_parser import MatchOp, VectorSelector

from poolscope import catalogue as wire
from poolscope_alerts.promql import POOL, SERVICE, name
from poolscope_exporter.core import own_metrics as own
from support.alert_cases.case import labelled
from support.prometheus.promql_names import known_series, nodes_of
from support.runbooks.commands import fill

STEP_S = 60
LASTS_S = 26 * 3600
"""Longer than any query looks back."""

LABELS = {
    **dict(
        zip(POOL, ("acme", "shop", "a1", "orders", "orders", "db.example", "5432"), strict=True)
    ),
    "server": "db.example:5432",
    "pgbouncer": "10.0.0.2:6432",
    "reason": "bad_value",
}
"""The labels of an alert on anything: its pool, its server, its PgBouncer."""

OTHERS = {label: f"another {value}" for label, value in LABELS.items()}

_GROWS = f"0+1x{LASTS_S // STEP_S}"
_STAYS = {
    own.POOL_DIAGNOSIS.name: 1,
    own.CONFIG_CHECK.name: 1,
    own.POOL_DESTINATION.name: 1,
    own.INSTANCE_LAST_PUSH_AGE.name: 1,
    name(wire.LEAKS_RECOVERED): 0,
    f"{name(wire.USE_TIME)}_bucket": 1,
}
"""Series that a query compares with a number, or that must stay behind another one."""


def series_for(queries: Iterable[str]) -> dict[str, str]:
    """Return a series for each selector of the queries, with values that grow."""
    found = [selector for query in queries for selector in _selectors(query)]
    return {labelled(str(each.name), _labels_of(each)): _values(str(each.name)) for each in found}


def _selectors(query: str) -> Iterator[VectorSelector]:
    tree = nodes_of(promql_parser.parse(fill(query, LABELS)))
    yield from (node for node in tree if isinstance(node, VectorSelector))


def _values(series: str) -> str:
    if (value := _STAYS.get(series)) is None:
        return _GROWS
    return f"{value}+0x{LASTS_S // STEP_S}"


def _labels_of(selector: VectorSelector) -> dict[str, str]:
    labels = {each: LABELS.get(each, "any") for each in known_series()[str(selector.name)]}
    for matcher in selector.matchers.matchers:
        if matcher.op in (MatchOp.Equal, MatchOp.Re):
            labels[matcher.name] = matcher.value.partition("|")[0]
        elif matcher.name in SERVICE:
            labels[matcher.name] = f"beside {LABELS[matcher.name]}"
    return labels | ({"le": "+Inf"} if "le" in labels else {})

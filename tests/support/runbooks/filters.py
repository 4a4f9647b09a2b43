"""Find the commands of a runbook that answer for more than the subject of its alert."""

import shlex
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import promql_parser
from promql_parser import BinaryExpr, MatchOp, VectorSelector

from poolscope_alerts.model import PLACEHOLDERS
from poolscope_alerts.promql import POOL, Labels
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS
from poolscope_exporter.web.openapi import OPERATIONS
from support.prometheus.promql_names import known_series, nodes_of

SERVICE_LABEL, PROCESS_LABEL = INSTANCE_LABELS[1:]
POOL_LABEL = POOL[3]

API_LABELS = {"service": SERVICE_LABEL, "pool": POOL_LABEL, "instance": PROCESS_LABEL}
"""The label whose value each filter of the API takes; the others select by something else."""

_DESTINATION = frozenset(own.POOL_DESTINATION.labels)
"""The series that leads from a pool to its server and PgBouncer, and back."""


def subject(about: Labels) -> list[str]:
    """Return the labels that a command must filter by, from the labels of its alert.

    Only the service and the name of a pool: its other processes are of interest too.
    """
    labels = [label for label in PLACEHOLDERS if label in about]
    return [each for each in labels if each != PROCESS_LABEL or POOL_LABEL not in labels]


def unfiltered_series(query: str, about: Labels) -> list[str]:
    """Return what a query reads of more than the subject of an alert with these labels."""
    wanted = subject(about)
    found = nodes_of(promql_parser.parse(query))
    selectors = [node for node in found if isinstance(node, VectorSelector)]
    problems = [problem for each in selectors for problem in _missing_matchers(each, wanted)]
    return problems + list(_not_joined(found, selectors, wanted))


def unfiltered_request(command: str, about: Labels) -> list[str]:
    """Return the filters of the API that a request lacks."""
    [address] = [part for part in shlex.split(command) if part.startswith("http")]
    operation = next(each for each in OPERATIONS if each.path == urlsplit(address).path)
    if not operation.has_query:
        return []
    given = parse_qs(urlsplit(address).query)
    wanted = {
        name: f"${PLACEHOLDERS[label]}"
        for name, label in API_LABELS.items()
        if label in subject(about)
    }
    return [f"{name}={value}" for name, value in wanted.items() if given.get(name) != [value]]


def _missing_matchers(selector: VectorSelector, wanted: list[str]) -> Iterator[str]:
    labels = known_series()[str(selector.name)]
    matchers = {
        each.name: each.value
        for each in selector.matchers.matchers
        if each.op in (MatchOp.Equal, MatchOp.NotEqual)
    }
    for label in wanted:
        value = f"${PLACEHOLDERS[label]}"
        if label in labels and matchers.get(label) != value:
            yield f'{selector.name}: filter by {label}="{value}"'


def _not_joined(
    found: list[object], selectors: list[VectorSelector], wanted: list[str]
) -> Iterator[str]:
    """Yield the series that have no label of the subject, but lead to it and are not joined."""
    if not _DESTINATION & set(wanted):
        return
    labels = {str(each.name): known_series()[str(each.name)] for each in selectors}
    is_joined = any(
        isinstance(node, BinaryExpr) and node.modifier is not None and node.modifier.matching
        for node in found
    ) and any(each & set(wanted) for each in labels.values())
    for name, its in labels.items():
        if not is_joined and not its & set(wanted) and its & _DESTINATION:
            yield f"{name}: join it with {own.POOL_DESTINATION.name}"

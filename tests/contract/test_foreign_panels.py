"""Panels on pools of senders that are not poolscope: an empty panel gives no untrue reason."""

import re
from typing import Final

import pytest

from poolscope import catalogue
from poolscope_dashboards.pool.selection import THIS
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.prometheus_names import metric_name
from support.documents.dashboards import DASHBOARDS, Json, measured
from support.prometheus.promql_names import known_series

ONLY_WITH_POOLSCOPE: Final = {
    metric.name
    for metric in (
        own.HELD_CHECKOUTS,
        own.OLDEST_CHECKOUT_AGE,
        own.LONG_HELD_CHECKOUTS,
        own.HELD_IDLE_TIME,
        own.HELD_IN_TRANSACTION_TIME,
        own.HELD_SEEN_TIME,
        own.UNPROVEN_LEAKS,
        own.LEAKS_REFUTED,
        own.CONFIG_CHECK,
    )
}
"""Series of the exporter that need the list of holders, or settings, from the sender."""

OF_EVERY_SENDER: Final = {
    metric_name(catalogue.COUNT.name, catalogue.COUNT.kind, catalogue.COUNT.unit),
    *({metric.name for metric in own.OWN_METRICS} - ONLY_WITH_POOLSCOPE),
}
"""Every sender counts its connections, and the exporter judges every pool."""

ADMISSIONS: Final = ("report", "lists no holders")
"""Words of a reason that admits that the sender may not give the number."""


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_empty_panel_admits_that_the_sender_may_not_give_the_number(name: str) -> None:
    untrue = []
    for panel in measured(DASHBOARDS[name]):
        none = panel["fieldConfig"]["defaults"]["noValue"]
        is_admitted = none.endswith("no data") or any(words in none for words in ADMISSIONS)
        if not is_admitted and not _is_of_every_sender(panel):
            untrue.append((panel["title"], none))
    assert untrue == []


def test_number_of_leaked_connections_is_absent_if_the_sender_lists_no_holders() -> None:
    info = metric_name(catalogue.POOL_INFO.name, catalogue.POOL_INFO.kind, catalogue.POOL_INFO.unit)
    _, zero = THIS.held("leaked", ()).split(" or ")
    assert f"{info}{{" in zero


def _is_of_every_sender(panel: Json) -> bool:
    """Return whether one of its queries reads only series that the pools of all senders have."""
    return any(_series(target["expr"]) <= OF_EVERY_SENDER for target in panel["targets"])


def _series(expression: str) -> set[str]:
    words = set(re.findall(r"[a-z_:0-9]+", expression))
    return {name for name in known_series() if not words.isdisjoint({name, f"{name}_total"})}

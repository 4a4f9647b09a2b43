"""Every counter of a pool is marked: its growth hurts callers, is a finding, or is traffic.

A pool in which a counter of the first kind grows is never healthy; one of the second kind stands
beside the diagnosis and changes nothing of it.
"""

from enum import StrEnum

import pytest

from poolscope import catalogue
from poolscope.catalogue import (
    BY_VALUE,
    EFFECTS,
    METRICS,
    CloseReason,
    ConnectErrorKind,
    Effect,
    Evidence,
    FailureReason,
    InvalidationReason,
    Kind,
    Metric,
    ServingAge,
    SharedReason,
)
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, diagnose

COUNTERS = [
    metric
    for metric in METRICS
    if metric.kind is Kind.COUNTER and metric not in catalogue.PROCESS_METRICS
]
VALUES: dict[Metric, type[StrEnum]] = {
    catalogue.CHECKOUT_FAILURES: FailureReason,
    catalogue.CONNECT_ERRORS: ConnectErrorKind,
    catalogue.INVALIDATED: InvalidationReason,
    catalogue.SHARED_CONNECTIONS: SharedReason,
    catalogue.CLOSED: CloseReason,
    catalogue.REQUEST_CHECKOUTS: ServingAge,
    catalogue.REQUEST_CONNECT_WAITS: ServingAge,
    catalogue.LEAKS: Evidence,
    catalogue.LEAKS_RECOVERED: Evidence,
}
CASES = [
    pytest.param(metric, str(value), effect, id=f"{metric.name}{{{value}}}")
    for metric, effects in EFFECTS.items()
    for value, effect in effects.items()
]


@pytest.mark.parametrize("metric", COUNTERS, ids=lambda metric: metric.name)
def test_every_counter_has_an_effect_for_each_of_its_values(metric: Metric) -> None:
    expected = set(VALUES[metric]) if metric in VALUES else {""}
    assert set(EFFECTS[metric]) == expected
    assert (metric in BY_VALUE) is (metric in VALUES)


@pytest.mark.parametrize(("metric", "value", "effect"), CASES)
@pytest.mark.parametrize("pending", [0, None])
def test_a_pool_is_healthy_only_where_nothing_that_hurts_callers_grew(
    metric: Metric, value: str, effect: Effect, pending: int | None
) -> None:
    growth = Growth({(metric.name, value): 3.0})
    numbers = PoolNumbers(used=1, max=15, pending=pending, held_total=0, growth=growth)
    found = diagnose(numbers, [], None)
    assert (found.diagnosis is not Diagnosis.HEALTHY) is (effect is Effect.HURTS)
    assert any(character.isdigit() for character in found.reasons[0])

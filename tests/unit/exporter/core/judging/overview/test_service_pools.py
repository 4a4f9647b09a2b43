"""Pools of all processes are one state per service and name, the worst first."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.service_pools import (
    PoolName,
    PoolSums,
    failures_per_minute,
    group_by_service,
    overview_numbers,
)
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked
from support.exporter.builders import a_checkout, a_pool, an_instance

TIMEOUTS = (catalogue.TIMEOUTS.name, "")
ERRORS = (catalogue.CHECKOUT_FAILURES.name, "error")


def a_state(
    instance: str = "shop-1",
    diagnosis: Diagnosis = Diagnosis.HEALTHY,
    since_s: float | None = 10.0,
    name: str = "orders",
    **numbers: int,
) -> PoolAssessment:
    found = PoolDiagnosis(diagnosis, (), since_s=since_s)
    return PoolAssessment(
        a_pool(an_instance(instance), name=name),
        PoolNumbers(**numbers),  # type: ignore[arg-type]
        found,
    )


def test_processes_of_one_pool_are_one_state_with_the_worst_first() -> None:
    (state,) = group_by_service(
        [
            a_state("shop-1"),
            a_state("shop-2", Diagnosis.LEAKING, 40.0),
            a_state("shop-3", Diagnosis.LEAKING, 90.0),
        ]
    )

    assert state.name == PoolName("acme", "shop", "orders")
    assert state.worst.diagnosis is Diagnosis.LEAKING
    assert state.since_s == 90.0
    assert state.diagnoses == {Diagnosis.LEAKING: 2, Diagnosis.HEALTHY: 1}


def test_numbers_are_sums_of_what_is_known_and_overflow_is_never_negative() -> None:
    (state,) = group_by_service(
        [
            a_state("a", used=3, idle=2, max=15, overflow=-2, pending=1),
            a_state("b", used=12, idle=0, max=15, overflow=2),
        ]
    )

    assert state.sums == PoolSums(
        used=15, idle=2, overflow=2, limit=30, waiting=1, failures_per_minute=None
    )


def test_leaked_checkouts_count_for_their_pool() -> None:
    nobody = NoLink(Unlinked.NO_SERVER, None)
    judged = [
        Judgement(a_checkout(n), 5.0, verdict, None, None, nobody, False)
        for n, verdict in enumerate((Verdict.LEAKED, Verdict.LEAKED, Verdict.WORKING))
    ]
    first, second = group_by_service([a_state(), a_state(name="reports")], judged)

    assert (first.leaked, second.leaked) == (2, 0)


@pytest.mark.parametrize(
    ("growth", "expected"),
    [
        (Growth({TIMEOUTS: 3.0}, span_s=30.0), 6.0),
        (Growth({TIMEOUTS: 3.0, ERRORS: 2.0}, span_s=60.0), 5.0),
        (Growth({TIMEOUTS: 0.0}, span_s=30.0), 0.0),
        (Growth({TIMEOUTS: 3.0}), None),
        (Growth(span_s=30.0), None),
    ],
)
def test_failures_are_a_rate_over_the_window_or_unknown(
    growth: Growth, expected: float | None
) -> None:
    assert failures_per_minute(PoolNumbers(growth=growth)) == expected


def test_the_numbers_of_all_pools_separate_trouble_from_unknown() -> None:
    states = group_by_service(
        [
            a_state(name="a", pending=2),
            a_state(name="b", diagnosis=Diagnosis.UNKNOWN),
            a_state(name="c", diagnosis=Diagnosis.FULL, pending=5),
        ]
    )
    found = overview_numbers(states)

    assert (found.pools, found.troubled, found.unknown, found.waiting) == (3, 1, 1, 7)
    assert found.failures_per_minute is None


def test_without_any_pool_the_waiting_callers_are_unknown() -> None:
    assert overview_numbers([]).waiting is None

"""Advice to open connections before the first request: with the numbers, and the exact argument."""

import pytest

from poolscope import catalogue
from poolscope.catalogue import ServingAge
from poolscope_exporter.core.fleet.growth import COUNT, SUM, CounterHistory, Growth, marks_of
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, diagnose
from poolscope_exporter.core.judging.prewarming import NOTICED_S, first_requests
from support.exporter.builders import a_point

FIRST, LATER = ServingAge.FIRST_MINUTE, ServingAge.LATER


def grown(
    waited: float = 4.0, taken: float = 12.0, mean_s: float = 0.25, age: ServingAge = FIRST
) -> Growth:
    """Return the growth of a process whose requests waited for five connections to open."""
    return Growth(
        {
            (catalogue.REQUEST_CONNECT_WAITS.name, age): waited,
            (catalogue.REQUEST_CHECKOUTS.name, age): taken,
            (catalogue.CREATE_TIME.name, COUNT): 5.0,
            (catalogue.CREATE_TIME.name, SUM): 5.0 * mean_s,
        }
    )


def a_pool(library: str = "asyncpg", growth: Growth | None = None, **given: object) -> PoolNumbers:
    numbers = {"used": 1, "idle": 4, "max": 10, "pending": 0, "library": library, **given}
    return PoolNumbers(growth=growth or grown(), **numbers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("library", "cure"),
    [
        ("asyncpg", "pass min_size=5 to asyncpg.create_pool, and await it at start-up"),
        ("psycopg_pool", "pass min_size=5, and call pool.open(wait=True) at start-up"),
        (
            "sqlalchemy",
            (
                "open pool_size=3 connections at start-up, because SQLAlchemy has no argument for"
                " it: docs/fastapi.md has the code"
            ),
        ),
    ],
)
def test_first_requests_that_waited_are_named_with_the_argument_of_the_library(
    library: str, cure: str
) -> None:
    size = 3 if library == "sqlalchemy" else None
    [reason] = first_requests(a_pool(library, size=size))
    assert reason == (
        "4 of 12 checkouts in the first minute of requests waited for a new connection, which took"
        f" 0.25 s to open on average: {cure}"
    )


@pytest.mark.parametrize(
    "numbers",
    [
        a_pool(growth=grown(waited=0.0)),
        a_pool(growth=grown(age=LATER)),  # a burst of later: no start to prepare for
        a_pool(growth=Growth()),
        a_pool("HikariCP"),  # its argument is not known
        a_pool("sqlalchemy", pool_class="NullPool"),
        a_pool("psycopg_pool", pool_class="AsyncNullConnectionPool"),
    ],
)
def test_nothing_is_advised_where_it_would_not_help(numbers: PoolNumbers) -> None:
    assert list(first_requests(numbers)) == []


@pytest.mark.parametrize(
    ("mean_s", "count"), [(NOTICED_S - 0.01, 0), (NOTICED_S, 1), (NOTICED_S + 0.01, 1)]
)
def test_connections_that_open_fast_are_not_worth_a_sentence(mean_s: float, count: int) -> None:
    assert len(list(first_requests(a_pool(growth=grown(mean_s=mean_s))))) == count


def test_checkouts_that_wait_before_any_has_ended_are_all_there_were() -> None:
    [reason] = first_requests(a_pool(growth=grown(waited=4.0, taken=1.0)))
    assert reason.startswith("4 of 4 checkouts")


def test_advice_stands_beside_a_healthy_pool_and_changes_nothing_of_it() -> None:
    found = diagnose(a_pool(), [], None)
    assert found.diagnosis is Diagnosis.HEALTHY
    assert any("min_size=5" in reason for reason in found.reasons)


def test_advice_stands_beside_connecting() -> None:
    waiting = {catalogue.Phase.CONNECT: 1}
    oldest = {catalogue.Phase.CONNECT: 2.0}
    numbers = a_pool(pending=1, pending_by_phase=waiting, oldest_wait_s=oldest)
    found = diagnose(numbers, [], None)
    assert found.diagnosis is Diagnosis.CONNECTING
    assert any("min_size=5" in reason for reason in found.reasons)


def test_growth_of_both_counters_is_watched_by_the_age_of_the_process() -> None:
    def marks(value: float) -> dict[tuple[str, str], float]:
        points = [
            a_point(metric, value, attributes={catalogue.SERVING_AGE: FIRST.value})
            for metric in (catalogue.REQUEST_CHECKOUTS, catalogue.REQUEST_CONNECT_WAITS)
        ]
        return dict(marks_of(points))

    history = CounterHistory()
    history.record_marks(marks(1.0), 0.0)
    history.record_marks(marks(4.0), 5.0)
    growth = history.growth()
    assert growth.of(catalogue.REQUEST_CHECKOUTS, FIRST) == 3.0
    assert growth.of(catalogue.REQUEST_CONNECT_WAITS, FIRST) == 3.0

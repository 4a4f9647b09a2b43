"""A pool's numbers are read from its series; what was not told stays unknown."""

import pytest

from poolscope import catalogue
from poolscope.catalogue import Evidence, Metric, Phase, StatementSetting
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.pool_numbers import LEAST_PINGS, PoolNumbers, numbers_of
from poolscope_exporter.core.model.pushes import HistogramValue
from support.exporter.builders import a_point, pool_points


def test_pool_that_says_nothing_has_no_numbers() -> None:
    assert numbers_of([], None, Growth()) == PoolNumbers()


def test_gauges_are_read_by_state() -> None:
    numbers = numbers_of(pool_points(used=3, idle=2, limit=15, pending=4), (7, 5), Growth())
    assert (numbers.used, numbers.idle, numbers.max, numbers.pending) == (3, 2, 15, 4)
    assert (numbers.held_total, numbers.listed_total) == (7, 5)


@pytest.mark.parametrize(
    ("metric", "field", "value"),
    [
        (catalogue.IDLE_MAX, "idle_max", 3),
        (catalogue.IDLE_MIN, "idle_min", 3),
        (catalogue.POOL_SIZE, "size", 3),
        (catalogue.POOL_MAX_OVERFLOW, "max_overflow", 3),
        (catalogue.POOL_OVERFLOW, "overflow", 3),
        (catalogue.POOL_TIMEOUT, "timeout_s", 2.5),
        (catalogue.POOL_CONNECT_TIMEOUT, "connect_timeout_s", 5.0),
        (catalogue.POOL_RECYCLE, "recycle_s", 1800.0),
        (catalogue.POOL_IDLE_TIMEOUT, "idle_timeout_s", 300.0),
        (catalogue.POOL_KEEPALIVE, "keepalive_s", 300.0),
        (catalogue.POOL_PRE_PING, "pre_ping", True),
        (catalogue.TIMEOUTS, "timeouts_total", 3),
        (catalogue.CHECKOUTS, "checkouts_total", 3),
        (catalogue.CHECKINS, "checkins_total", 3),
        (catalogue.BLOCKING_CHECKOUTS, "blocking_checkouts_total", 3),
        (catalogue.LEAKS_RECOVERED, "leaks_recovered_total", 3),
        (catalogue.LOST_PLACES, "lost_places", 3),
    ],
)
def test_each_metric_is_its_own_number(metric: Metric, field: str, value: float) -> None:
    numbers = numbers_of([a_point(metric, float(value))], None, Growth())
    assert getattr(numbers, field) == value
    told = {name for name in PoolNumbers.__slots__ if getattr(numbers, name)}
    assert told == {field, "growth", "process"}


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ((0, 0, 0, 0), 0.0, None),
        ((0, 0, 1, 0), 2.1, 2.1),  # a single value is known exactly
        ((1, 0, 1, 0), 2.11, 2.11),  # no more than the sum allows
        ((100, 0, 0, 0), 1.0, 0.095),  # interpolated in the bucket
        ((0, 50, 50, 0), 175.0, 4.7),
        ((95, 0, 5, 0), 15.0, 0.1),
        ((0, 0, 0, 9), 90.0, 5.0),  # beyond the last bound
    ],
)
def test_time_to_open_95_percent_of_the_connections_is_estimated_and_never_too_high(
    counts: tuple[int, ...], total: float, expected: float | None
) -> None:
    opened = HistogramValue((0.1, 2.0, 5.0), counts, total)
    numbers = numbers_of([a_point(catalogue.CREATE_TIME, opened)], None, Growth())
    assert numbers.create_p95_s == (None if expected is None else pytest.approx(expected))


def test_pre_ping_that_is_off_is_not_unknown() -> None:
    numbers = numbers_of([a_point(catalogue.POOL_PRE_PING, 0.0)], None, Growth())
    assert numbers.pre_ping is False


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, None),
        ({"": 0.0}, frozenset()),  # a driver that has no such setting
        ({"statement_cache_size": 0.0}, frozenset()),
        ({"statement_cache_size": 1.0}, {StatementSetting.STATEMENT_CACHE_SIZE}),
        (
            {"statement_cache_size": 0.0, "prepared_statement_cache_size": 1.0},
            {StatementSetting.PREPARED_STATEMENT_CACHE_SIZE},
        ),
        ({"a_later_setting": 1.0, "prepare_threshold": 0.0}, frozenset()),
    ],
)
def test_settings_that_keep_statements_are_those_that_are_on(
    told: dict[str, float], expected: frozenset[StatementSetting] | None
) -> None:
    points = [
        a_point(catalogue.POOL_PREPARED_STATEMENTS, on, attributes={catalogue.SETTING: setting})
        for setting, on in told.items()
    ]
    assert numbers_of(points, None, Growth()).statement_settings == expected


def test_leaks_are_counted_over_all_routes() -> None:
    points = [
        a_point(catalogue.LEAKS, n, attributes={catalogue.EVIDENCE: str(evidence)})
        for n, evidence in enumerate(Evidence)
    ]
    assert numbers_of(points, None, Growth()).leaks_total == sum(range(len(Evidence)))


def test_class_and_library_are_read_from_their_attributes() -> None:
    attributes = {catalogue.POOL_CLASS: "AsyncAdaptedQueuePool", catalogue.LIBRARY: "sqlalchemy"}
    numbers = numbers_of([a_point(catalogue.POOL_INFO, attributes=attributes)], None, Growth())
    assert (numbers.pool_class, numbers.library) == ("AsyncAdaptedQueuePool", "sqlalchemy")


def test_ping_takes_what_it_took_on_average() -> None:
    buckets = HistogramValue((0.001,), (19, 1), 0.04)
    numbers = numbers_of([a_point(catalogue.PING_TIME, buckets)], None, Growth())
    assert numbers.ping_s == 0.002


def test_a_few_pings_have_no_average() -> None:
    buckets = HistogramValue((0.001,), (LEAST_PINGS - 2, 1), 0.6)
    assert numbers_of([a_point(catalogue.PING_TIME, buckets)], None, Growth()).ping_s is None


def test_ping_that_never_was_has_no_average() -> None:
    never = HistogramValue((0.001,), (0, 0), 0.0)
    assert numbers_of([a_point(catalogue.PING_TIME, never)], None, Growth()).ping_s is None


def test_numbers_whose_sum_no_number_can_hold_are_unknown() -> None:
    points = [a_point(catalogue.POOL_SIZE, 1e308) for _ in range(2)]
    timeouts = [a_point(catalogue.POOL_TIMEOUT, 1e308) for _ in range(2)]
    numbers = numbers_of([*points, *timeouts], None, Growth())
    assert (numbers.size, numbers.timeout_s) == (None, None)


def test_callers_that_wait_are_read_by_phase_and_nobody_is_no_phase() -> None:
    counts, ages = {Phase.QUEUE: 2.0, Phase.PING: 0.0}, {Phase.QUEUE: 3.5, Phase.PING: 0.0}
    points = [
        a_point(metric, value, attributes={catalogue.PHASE: str(phase)})
        for metric, values in ((catalogue.PENDING, counts), (catalogue.PENDING_AGE, ages))
        for phase, value in values.items()
    ]
    numbers = numbers_of(points, None, Growth())
    assert numbers.pending_by_phase == {Phase.QUEUE: 2}
    assert numbers.oldest_wait_s == {Phase.QUEUE: 3.5}

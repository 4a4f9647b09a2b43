"""The wire catalogue: complete, in the standard's words, and of bounded size."""

import inspect

import pytest
from opentelemetry.semconv._incubating.metrics import db_metrics
from sqlalchemy import text

import poolscope
from poolscope import catalogue
from poolscope.catalogue import METRICS, Kind, Metric
from poolscope.recording.histogram import Buckets
from poolscope.recording.leaks import MAX_SERIES
from poolscope.recording.session_use import MAX_PAIRS
from support.applications.apps import instrumented
from support.applications.dbapi import an_engine

STANDARD = {
    "db.client.connection.count", "db.client.connection.idle.max",
    "db.client.connection.idle.min", "db.client.connection.max",
    "db.client.connection.pending_requests", "db.client.connection.timeouts",
    "db.client.connection.create_time", "db.client.connection.wait_time",
    "db.client.connection.use_time",
}  # fmt: skip


def test_every_metric_is_in_the_table_once() -> None:
    defined = [value for _, value in inspect.getmembers(catalogue) if isinstance(value, Metric)]
    assert sorted(m.name for m in defined) == sorted(m.name for m in METRICS)
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_all_nine_metrics_of_the_conventions_are_there_in_their_words() -> None:

    published = {
        value
        for name, value in vars(db_metrics).items()
        if name.startswith("DB_CLIENT_CONNECTION_")
    }
    assert published >= STANDARD
    assert {m.name for m in METRICS if m.name.startswith("db.")} == STANDARD


def test_everything_else_is_under_our_own_name() -> None:
    assert all(m.name.startswith("poolscope.") for m in METRICS if m.name not in STANDARD)


def test_no_gauge_has_the_unit_that_becomes_a_ratio() -> None:
    assert not [metric.name for metric in METRICS if metric.unit in ("", "1")]


@pytest.mark.parametrize(
    ("metric", "threshold_s"),
    [
        (catalogue.WAIT_TIME, 0.5),  # T1
        (catalogue.QUEUE_TIME, 2.0),  # T5
        (catalogue.QUEUE_TIME, 10.0),  # C3
        (catalogue.QUEUE_TIME, 30.0),  # C3
        (catalogue.PING_TIME, 0.002),  # C5
    ],
)
def test_every_documented_threshold_is_a_bound(metric: Metric, threshold_s: float) -> None:
    assert threshold_s in metric.bounds


def test_only_histograms_have_bounds_and_they_rise() -> None:
    for metric in METRICS:
        assert bool(metric.bounds) is (metric.kind is Kind.HISTOGRAM)
        assert list(metric.bounds) == sorted(set(metric.bounds))


def test_a_pool_of_one_process_has_at_most_184_series() -> None:
    with instrumented() as readings:
        engine = an_engine(pool_pre_ping=True, pool_recycle=1800)
        poolscope.name_pool(engine, "counted")  # an engine of another test may live on
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        series = sum(
            len(sample.value.counts) + 2 if isinstance(sample.value, Buckets) else 1
            for sample in readings.instrumentation.pusher.samples()
            if sample.attributes.get(catalogue.POOL_NAME) == "counted"
        )
    assert series
    leaks_to_come = 2 * (MAX_SERIES - 4)
    assert series + leaks_to_come + MAX_PAIRS <= 184

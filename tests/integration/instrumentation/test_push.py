"""Pushing to exporters that are there, gone, hanging or broken: the application never notices."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolscope import catalogue
from poolscope.clock import monotonic
from poolscope.pushing import pusher as pusher_module
from poolscope.recording import histogram
from support.applications.apps import instrumented
from support.applications.dbapi import an_engine
from support.exporter.receiver import Mood, Receiver, a_receiver, points, resource


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def use(engine: Engine, times: int) -> None:
    for _ in range(times):
        engine.connect().close()


def total(receiver: Receiver, metric: catalogue.Metric) -> float:
    [point] = points(receiver.arrived[-1], metric.name)
    return float(point["value"])


def test_a_push_tells_everything_and_marks_the_last_one(receiver: Receiver) -> None:
    with instrumented(endpoint=receiver.endpoint, push_interval_s=0.2, service_name="shop"):
        engine = an_engine()
        use(engine, 7)
        first = receiver.wait_for_push()
    last = receiver.arrived[-1]
    assert resource(first)["service.name"] == "shop"
    assert resource(first)["service.instance.id"] == resource(last)["service.instance.id"]
    [mark] = points(first, catalogue.PUSH.name)
    assert (mark["value"], mark[catalogue.PUSH_END]) == (1, False)
    assert mark[catalogue.PUSH_INTERVAL] == 0.2
    [mark] = points(last, catalogue.PUSH.name)
    assert mark[catalogue.PUSH_END] is True
    assert total(receiver, catalogue.CHECKOUTS) == 7


def test_a_push_lists_the_callers_that_wait_and_the_next_one_does_not(receiver: Receiver) -> None:
    options = {"endpoint": receiver.endpoint, "push_interval_s": 300, "held_after_s": 0}
    with instrumented(**options) as readings:
        engine = an_engine(pool_timeout=30)
        held = [engine.connect() for _ in range(3)]
        waiting = threading.Thread(target=lambda: engine.connect().close(), daemon=True)
        waiting.start()
        while not readings.value(catalogue.PENDING_REQUESTS):
            pass
        readings.instrumentation.pusher._push(end=False)
        for connection in held:
            connection.close()
        waiting.join()
    first, last = receiver.arrived[0], receiver.arrived[-1]
    [waiter] = points(first, catalogue.WAITER_AGE.name)
    assert waiter[catalogue.PHASE] == "queue"
    assert waiter[catalogue.CODE_FILE_PATH].endswith("test_push.py")
    counts = catalogue.WAITERS_WAITING.name, catalogue.WAITERS_LISTED.name
    assert [points(first, name)[0]["value"] for name in counts] == [1, 1]
    assert points(last, catalogue.WAITER_AGE.name) == []
    assert [points(last, name)[0]["value"] for name in counts] == [0, 0]


def test_the_last_push_leaves_without_waiting_for_the_interval(receiver: Receiver) -> None:
    with instrumented(endpoint=receiver.endpoint, push_interval_s=300):
        use(an_engine(), 3)
    assert total(receiver, catalogue.CHECKINS) == 3


def give_up(engine: Engine) -> None:
    """Let a caller give up, while all connections are held."""
    held = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    for connection in held:
        connection.close()


def test_the_report_of_a_timeout_is_pushed_until_an_exporter_accepts_it(receiver: Receiver) -> None:
    receiver.mood = Mood.FAILS
    with instrumented(endpoint=receiver.endpoint, push_interval_s=0.2):
        engine = an_engine(pool_logging_name="orders")
        give_up(engine)
        for _ in range(3):  # the second request begins after the report was kept
            assert receiver.asked.acquire(timeout=60)
        receiver.mood = Mood.ACCEPTS
        receiver.wait_for_push()
        receiver.wait_for_push()
    arrived = [points(push, catalogue.TIMEOUT_REPORT.name) for push in receiver.arrived]
    [report] = [report for reports in arrived for report in reports]
    text = report[catalogue.TIMEOUT_TEXT]
    assert text.startswith("pool orders: callers gave up after 0.01 s; now 3 used of 3, 0 idle")
    assert "in give_up" in text
    assert report[catalogue.POOL_NAME] == "orders"
    assert report["value"] > 0


def test_only_a_complete_push_has_the_report_of_a_timeout(receiver: Receiver) -> None:
    with (
        mock.patch.multiple(pusher_module, TICK_S=300.0, FIRST_PUSH_S=300.0),
        instrumented(endpoint=receiver.endpoint, push_interval_s=300) as readings,
    ):
        give_up(an_engine(pool_logging_name="orders"))
        pusher = readings.instrumentation.pusher
        pusher._push(end=False)  # the exporter has the pool from now on
        [(identity, report)] = pusher._log_messages.log_timeouts()
        pusher._unsent_reports.keep_report(identity, report, monotonic())
        for is_partial in (True, False, False):
            pusher._push(end=False, is_partial=is_partial)
        reports = [
            len(points(push, catalogue.TIMEOUT_REPORT.name)) for push in receiver.arrived[-3:]
        ]
    assert reports == [0, 1, 0]


@pytest.mark.parametrize("mood", [Mood.FAILS, Mood.HANGS, Mood.BABBLES])
def test_an_exporter_that_fails_costs_nothing_and_totals_are_right_when_it_is_back(
    receiver: Receiver, mood: Mood
) -> None:
    receiver.mood = mood
    with instrumented(endpoint=receiver.endpoint, push_interval_s=0.2) as readings:
        engine = an_engine()
        use(engine, 5)
        assert receiver.asked.acquire(timeout=60)
        use(engine, 5)  # while a push fails, or hangs
        receiver.mood = Mood.ACCEPTS
        receiver.wait_for_push()
        use(engine, 5)
        assert readings.instrumentation.registry.hook_errors == 0
    assert total(receiver, catalogue.CHECKOUTS) == 15
    assert total(receiver, catalogue.PUSH_FAILURES) >= 1


def test_an_exporter_that_is_not_there_is_told_once_and_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with a_receiver() as gone:
        endpoint = gone.endpoint
    caplog.set_level("INFO", logger="poolscope")
    with instrumented(endpoint=endpoint, push_interval_s=0.2) as readings:
        use(an_engine(), 3)
        pusher = readings.instrumentation.pusher
        while pusher._failures < 3:
            pass
    said = [record for record in caplog.records if "away" in record.message]
    assert [record.levelname for record in said] == ["INFO"]


def test_every_exporter_that_is_named_gets_the_push(receiver: Receiver) -> None:
    with a_receiver() as second:
        endpoints = [receiver.endpoint, second.endpoint]
        with instrumented(endpoint=endpoints, push_interval_s=300):
            use(an_engine(), 2)
        assert total(receiver, catalogue.CHECKOUTS) == total(second, catalogue.CHECKOUTS) == 2


def test_the_token_goes_along_and_nothing_of_the_environment(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=foreign")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with instrumented(endpoint=receiver.endpoint, token_file=token):
        use(an_engine(), 1)
    assert receiver.headers[-1]["authorization"] == "Bearer s3cret"
    assert "api-key" not in receiver.headers[-1]


def test_with_a_meter_provider_every_series_is_published_exactly_once(receiver: Receiver) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=Resource({"service.instance.id": "theirs"}))
    with instrumented(
        endpoint=receiver.endpoint, metrics="auto", meter_provider=provider, push_interval_s=300
    ) as readings:
        engine = an_engine()
        use(engine, 9)
        held = engine.connect()
        data = reader.get_metrics_data()
        held.close()
        ours = {s.metric.name for s in readings.instrumentation.pusher.samples()}
    provider.shutdown()
    assert data is not None
    published = [
        (metric.name, tuple(sorted((point.attributes or {}).items())))
        for resource_metrics in data.resource_metrics
        for scope in resource_metrics.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    assert len(published) == len(set(published))
    silent = {catalogue.QUEUE_TIME.name}  # nobody waited, so the SDK has no histogram yet
    assert {name for name, _ in published} == ours - silent
    assert catalogue.CHECKOUT_AGE.name not in ours
    [mark] = points(receiver.arrived[-1], catalogue.PUSH.name)
    assert mark[catalogue.PUSH_PUBLISHER] == "provider"
    assert resource(receiver.arrived[-1])["service.instance.id"] == "theirs"


def collect(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Collect, and return the points of each metric."""
    data = reader.get_metrics_data()
    assert data is not None
    scopes = data.resource_metrics[0].scope_metrics
    return {metric.name: list(metric.data.data_points) for s in scopes for metric in s.metrics}


DELTA: dict[type, AggregationTemporality] = {
    ObservableCounter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}


def test_each_reader_gets_its_own_temporality() -> None:
    cumulative, delta = InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=DELTA)
    provider = MeterProvider([cumulative, delta])
    with instrumented(metrics="auto", meter_provider=provider):
        engine = an_engine()
        for since_the_start in (4, 8):
            use(engine, 4)
            for reader, expected in ((cumulative, since_the_start), (delta, 4)):
                collected = collect(reader)
                assert [p.value for p in collected[catalogue.CHECKOUTS.name]] == [expected]
                assert [p.count for p in collected[catalogue.WAIT_TIME.name]] == [expected]
    provider.shutdown()


def test_a_view_of_the_users_changes_the_buckets() -> None:
    reader = InMemoryMetricReader()
    aggregation = ExplicitBucketHistogramAggregation((0.1, 1.0))
    view = View(instrument_name=catalogue.WAIT_TIME.name, aggregation=aggregation)
    provider = MeterProvider([reader], views=[view])
    with instrumented(metrics="auto", meter_provider=provider):
        use(an_engine(), 3)
        waits = collect(reader)[catalogue.WAIT_TIME.name]
    provider.shutdown()
    assert [tuple(point.explicit_bounds) for point in waits] == [(0.1, 1.0)]


def test_samples_that_nobody_collects_are_bounded_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(histogram, "BUFFER_LIMIT", 10)
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    with instrumented(metrics="auto", meter_provider=provider) as readings:
        use(an_engine(), 25)
        assert readings.value(catalogue.SAMPLES_DROPPED) == 2 * 15  # of the waits and of the uses
        assert [p.count for p in collect(reader)[catalogue.WAIT_TIME.name]] == [10]
        assert readings.value(catalogue.WAIT_TIME) == 25  # the push to the exporter is exact
    provider.shutdown()


def test_a_metric_that_is_off_is_published_nowhere(receiver: Receiver) -> None:
    off = [catalogue.COUNT.name, catalogue.USE_TIME.name]
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    with instrumented(
        endpoint=receiver.endpoint, metrics="auto", meter_provider=provider, metrics_off=off
    ):
        use(an_engine(), 2)
        published = set(collect(reader))
    provider.shutdown()
    assert catalogue.WAIT_TIME.name in published
    assert not published & set(off)
    assert [points(receiver.arrived[-1], name) for name in off] == [[], []]


def test_a_provider_gets_exact_histograms_with_our_bounds() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    with instrumented(metrics="auto", meter_provider=provider):
        use(an_engine(), 25)
        collect(reader)
        use(an_engine(pool_logging_name="other"), 5)
        waits = collect(reader)[catalogue.WAIT_TIME.name]
    provider.shutdown()
    assert sorted(point.count for point in waits) == [5, 25]
    assert {tuple(point.explicit_bounds) for point in waits} == {catalogue.WAIT_BOUNDS}


def _count_in_child(engine: Engine, results: "SimpleQueue[tuple[int, int]]") -> None:
    engine.dispose(close=False)
    use(engine, 3)
    results.put((os.getpid(), 3))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_after_a_fork_each_process_counts_its_own_as_an_instance_of_its_own(
    receiver: Receiver,
) -> None:
    fork = multiprocessing.get_context("fork")
    with instrumented(endpoint=receiver.endpoint, push_interval_s=0.2):
        engine = an_engine()
        use(engine, 10)
        receiver.wait_for_push()
        results: SimpleQueue[tuple[int, int]] = fork.SimpleQueue()
        children = [fork.Process(target=_count_in_child, args=(engine, results)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
    by_pid: dict[int, float] = {}
    ids = set()
    for push in receiver.arrived:
        about = resource(push)
        ids.add(about["service.instance.id"])
        [point] = points(push, catalogue.CHECKOUTS.name)
        by_pid[about["process.pid"]] = point["value"]
    assert by_pid.pop(os.getpid()) == 10
    assert list(by_pid.values()) == [3, 3]
    assert len(ids) == 3


def test_push_under_pressure_has_the_connections_that_were_lost(receiver: Receiver) -> None:
    with instrumented(endpoint=receiver.endpoint, push_interval_s=300) as readings:
        engine = an_engine()
        pusher = readings.instrumentation.pusher
        pusher._push(end=False)
        with engine.connect() as connection:
            connection.invalidate(TimeoutError())
        pusher._push(end=False, is_partial=True)
    [lost] = points(receiver.arrived[1], catalogue.INVALIDATED.name)
    assert lost[catalogue.REASON] == "timeout"
    assert lost["value"] == 1


@pytest.mark.parametrize("question", ["state", "configuration", "open_connection"])
@pytest.mark.parametrize("is_partial", [False, True])
def test_a_pool_that_cannot_be_read_costs_no_other_pool_anything(
    receiver: Receiver, question: str, is_partial: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError(question)

    with instrumented(endpoint=receiver.endpoint, push_interval_s=300) as readings:
        one, other = an_engine(pool_logging_name="one"), an_engine(pool_logging_name="other")
        held = [one.connect(), other.connect()]
        pusher, registry = readings.instrumentation.pusher, readings.instrumentation.registry
        pusher._push(end=False)
        [reader] = [p.stats.reader for p in registry.pools if p.stats.identity.name == "one"]
        monkeypatch.setattr(getattr(reader, "_reader", reader), question, broken)
        pusher._push(end=False, is_partial=is_partial)
        for connection in held:
            connection.close()
    push = receiver.arrived[1]
    pending = points(push, catalogue.PENDING_REQUESTS.name)
    assert {point[catalogue.POOL_NAME] for point in pending} == {"one", "other"}
    counted = {point[catalogue.POOL_NAME] for point in points(push, catalogue.COUNT.name)}
    assert "other" in counted


def test_the_end_of_pressure_is_pushed_before_the_next_complete_push(receiver: Receiver) -> None:
    receiver.answer_headers[catalogue.INTERVAL_HEADER] = "1"
    with instrumented(endpoint=receiver.endpoint, push_interval_s=60):
        engine = an_engine()
        engine.connect().close()
        wait_for_push_of(receiver, used=0)  # the first one, which is complete
        held = [engine.connect() for _ in range(3)]
        wait_for_push_of(receiver, used=3)
        for connection in held:
            connection.close()
        [mark] = points(wait_for_push_of(receiver, used=0), catalogue.PUSH.name)
        assert mark[catalogue.PUSH_PARTIAL]


def wait_for_push_of(receiver: Receiver, *, used: int) -> Any:
    """Wait for a push that has so many connections in use, and return it."""
    while True:
        push = receiver.wait_for_push()
        if used_in(push) == used:
            return push


def used_in(push: Any) -> float:
    states = points(push, catalogue.COUNT.name)
    [used] = [each["value"] for each in states if each[catalogue.CONNECTION_STATE] == "used"]
    return float(used)


def test_pressure_does_not_put_off_what_only_a_complete_push_has(receiver: Receiver) -> None:
    receiver.answer_headers[catalogue.INTERVAL_HEADER] = "1"
    with instrumented(endpoint=receiver.endpoint, push_interval_s=2.5):
        engine = an_engine(pool_timeout=60)
        held = [engine.connect() for _ in range(3)]
        waiting = threading.Thread(target=lambda: engine.connect().close())
        waiting.start()
        partial, complete = 0, 0
        while complete < 3 or not partial:
            [mark] = points(receiver.wait_for_push(), catalogue.PUSH.name)
            is_partial = mark[catalogue.PUSH_PARTIAL]
            partial, complete = partial + is_partial, complete + (not is_partial)
            assert partial < 10, "no complete push came any more"
        held[0].close()
        waiting.join()
        for connection in held[1:]:
            connection.close()


def test_a_push_under_pressure_is_small_and_names_holders_and_waiters(receiver: Receiver) -> None:
    options = {"endpoint": receiver.endpoint, "push_interval_s": 300, "held_after_s": 0}
    with instrumented(**options) as readings:
        engine = an_engine()
        held = engine.connect()
        pusher = readings.instrumentation.pusher
        pusher._push(end=False)
        pusher._push(end=False, is_partial=True)
        other = an_engine()
        other.connect().close()
        pusher._push(end=False, is_partial=True)
        held.close()
    complete, small, with_a_new_pool = receiver.arrived[:3]
    [mark] = points(with_a_new_pool, catalogue.PUSH.name)
    assert mark[catalogue.PUSH_PARTIAL] is False
    assert [
        points(each, catalogue.PUSH.name)[0][catalogue.PUSH_PARTIAL] for each in (small, complete)
    ] == [
        True,
        False,
    ]
    for metric in (
        catalogue.CHECKOUT_AGE,
        catalogue.COUNT,
        catalogue.PENDING,
        catalogue.TIMEOUTS,
        catalogue.POOL_SESSIONS,
    ):
        assert len(points(small, metric.name)) == len(points(complete, metric.name)) > 0
    for metric in (catalogue.USE_TIME, catalogue.CLOSED, catalogue.POOL_SIZE, catalogue.LEAKS):
        assert points(small, metric.name) == []
        assert points(complete, metric.name)

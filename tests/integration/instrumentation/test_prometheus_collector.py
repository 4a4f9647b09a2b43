"""The aggregates in the application's own registry, named as the exporter names them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families as read_text

import poolscope
from poolscope import catalogue
from poolscope.instrumentation import active
from poolscope.publishing.prometheus_collector import families_of
from poolscope.pushing.encoding import encode
from poolscope.settings import SettingsError
from poolscope_exporter.core.admission.points import Refusal, admit
from poolscope_exporter.core.fleet.service_totals.route_deltas import ROUTE_METRICS
from poolscope_exporter.core.own_metrics import ROUTE_LABELS
from poolscope_exporter.metrics.app_series import SeriesLabels
from poolscope_exporter.metrics.families import Families
from poolscope_exporter.metrics.text_format import SeriesText
from poolscope_exporter.receiver.decode import decode
from support.applications.apps import NOWHERE, Readings, instrumented
from support.applications.dbapi import an_engine
from support.applications.traced import traced
from support.exporter.receiver import a_receiver, points
from support.prometheus.openmetrics import read_openmetrics, write_openmetrics

WAITS = "db_client_connection_wait_time_seconds"
CHECKOUTS = "poolscope_checkouts"


@contextmanager
def published(**options: Any) -> Iterator[tuple[Readings, CollectorRegistry]]:
    registry = CollectorRegistry()
    with instrumented(metrics="prometheus", prometheus_registry=registry, **options) as readings:
        yield readings, registry


def by_exporter(readings: Readings) -> str:
    """Return what the exporter's `/metrics` has of this process after a push."""
    pusher = readings.instrumentation.pusher
    body = encode(list(pusher.samples()), pusher._identity.resource, 1, 2)
    [push] = decode(ExportMetricsServiceRequest.FromString(body)).pushes
    families = Families(SeriesText())
    kept = [point for point in map(admit, push.points) if not isinstance(point, Refusal)]
    assert len(kept) == len(push.points)
    series = [(push.instance, point) for point in kept if point.metric not in ROUTE_METRICS]
    SeriesLabels().add_series(families, series)
    parts = [family.as_openmetrics() for family in families.family_texts()]
    return b"".join((*parts, b"# EOF\n")).decode()


def test_names_labels_types_and_values_are_those_of_the_exporter() -> None:
    with published(service_name="shop") as (readings, registry):
        engine = an_engine(pool_pre_ping=True)
        for _ in range(3):
            engine.connect().close()
        ours = {f.name: f for f in read_openmetrics(write_openmetrics(registry))}
        exporters = {f.name: f for f in read_openmetrics(by_exporter(readings))}
    for name, family in exporters.items():
        found = ours.pop(name)
        assert heading(found) == heading(family)
        assert series(found) == series(family), name
    assert ours == {}


def heading(family: Any) -> tuple[str, str, str, str]:
    return family.name, family.type, family.unit, family.documentation


def series(family: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float | None]:
    """Return the samples; the ages of what goes on differ from reading to reading."""
    is_age = family.name.endswith(("_age_seconds", "_lag_seconds"))
    return {
        (sample.name, frozenset(sample.labels.items())): None if is_age else sample.value
        for sample in family.samples
    }


def test_series_that_the_exporter_sums_over_a_service_have_its_labels() -> None:
    sample = mock.Mock(metric=catalogue.ROUTE_CHECKOUTS, value=1, attributes={"http.route": "/a"})
    [family] = families_of([sample], {catalogue.SERVICE_NAME: "shop"})
    [found] = family.samples
    assert set(found.labels) == set(ROUTE_LABELS)


def test_the_default_registry_is_used_and_left_as_it_was() -> None:
    before = list(REGISTRY._collector_to_names)
    with instrumented(metrics="prometheus"):
        an_engine().connect().close()
        assert CHECKOUTS.encode() in generate_latest(REGISTRY)
    assert list(REGISTRY._collector_to_names) == before


def test_slow_waits_have_exemplars_in_openmetrics() -> None:
    with traced() as traces, published(wait_span_after_s=1e-9) as (readings, registry):
        with traces.tracer.start_as_current_span("GET /orders") as span:
            an_engine().connect().close()
        readings.instrumentation.pusher._take_traced_notes()
        body = write_openmetrics(registry)
    [family] = [each for each in read_openmetrics(body) if each.name == WAITS]
    [exemplar] = [sample.exemplar for sample in family.samples if sample.exemplar]
    assert exemplar.labels["trace_id"] == format(span.get_span_context().trace_id, "032x")


def test_an_error_of_ours_leaves_the_series_of_the_application() -> None:
    with published() as (readings, registry):
        Counter("orders", "Orders of the shop.", registry=registry).inc()
        broken = mock.Mock(side_effect=RuntimeError("no samples"))
        with mock.patch.object(readings.instrumentation.pusher, "samples", broken):
            text = generate_latest(registry).decode()
        assert "orders_total 1.0" in text
        assert CHECKOUTS not in text
        assert readings.instrumentation.registry.hook_errors == 1


def test_nothing_is_pushed_unless_an_exporter_is_named() -> None:
    with published() as (readings, _):
        assert readings.instrumentation.settings.endpoints != ()  # given by the test
    registry = CollectorRegistry()
    handle = poolscope.instrument(metrics="prometheus", prometheus_registry=registry)
    assert handle is not None
    try:
        an_engine().connect().close()
        handle.flush()
        assert handle.settings.endpoints == ()
        assert f"{CHECKOUTS}_total".encode() in generate_latest(registry)
        assert (handle.pusher._failures, handle.registry.hook_errors) == (0, 0)
    finally:
        handle.uninstrument()
        handle.pusher._thread.join(60)
        handle.watcher._thread.join(60)


@pytest.mark.parametrize("endpoint", [None, NOWHERE])
def test_nothing_is_profiled_unless_an_exporter_reads_it(endpoint: str | None) -> None:
    with published(endpoint=endpoint) as (readings, _):
        holders = readings.instrumentation.watcher.holders
        with an_engine().connect():
            for now_s in (1000.0, 1002.0, 1004.0):
                holders.note_use(now_s)
                holders.look_if_due(now_s + 2.0)
            rows = holders.occupancy.take_rows()
    assert bool(rows) == (endpoint is not None)


def test_an_exporter_that_is_named_learns_that_it_is_not_the_publisher() -> None:
    with a_receiver() as receiver:
        with published(endpoint=receiver.endpoint):
            an_engine().connect().close()
        [mark] = points(receiver.arrived[-1], catalogue.PUSH.name)
    assert mark[catalogue.PUSH_PUBLISHER] == "provider"


def test_a_forked_child_is_another_instance_that_begins_at_zero() -> None:
    with published() as (_, registry):
        engine = an_engine()
        engine.connect().close()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.write(writing, f"{instance(registry)} {checkouts(registry)}".encode())
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        of_child, its_checkouts = os.read(reading, 200).decode().split()
        os.close(reading)
        os.close(writing)
        assert of_child != instance(registry)
        assert (float(its_checkouts), checkouts(registry)) == (0.0, 1.0)


def samples(registry: CollectorRegistry) -> list[Any]:
    found = {f.name: f for f in read_text(generate_latest(registry).decode())}
    return list(found[CHECKOUTS].samples)


def instance(registry: CollectorRegistry) -> str:
    return str(samples(registry)[0].labels["service_instance_id"])


def checkouts(registry: CollectorRegistry) -> float:
    return float(sum(sample.value for sample in samples(registry)))


@pytest.mark.parametrize("variable", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_the_multiprocess_mode_is_refused_with_the_cure(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/somewhere")
    assert "poolscope-exporter" in refusal(metrics="prometheus")


def test_two_publishers_are_one_too_many() -> None:
    provider = MeterProvider([InMemoryMetricReader()])
    assert "either" in refusal(metrics="prometheus", meter_provider=provider)
    provider.shutdown()
    assert "needs metrics='prometheus'" in refusal(prometheus_registry=CollectorRegistry())


def test_without_prometheus_client_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "poolscope.publishing.prometheus_collector", None)
    assert "prometheus-client" in refusal(metrics="prometheus")


def refusal(**arguments: Any) -> str:
    """Return the message of the refused set-up, after which nothing is attached."""
    with pytest.raises(SettingsError) as caught:
        poolscope.instrument(**arguments)
    assert active() is None
    return str(caught.value)

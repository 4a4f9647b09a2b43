"""The names at `/metrics`: the field's own translation of the wire names, and promlint's rules."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolscope import catalogue
from poolscope_exporter.core.own_metrics import OWN_METRICS
from support.applications.apps import instrumented
from support.applications.dbapi import an_engine
from support.exporter.exporter_process import ExporterProcess
from support.exporter.receiver import a_receiver
from support.prometheus.promlint import problems

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
IDENTITY = {"service_namespace", "service_name", "service_instance_id"}


@dataclass(frozen=True)
class Exposed:
    """What `/metrics` answers, in both formats."""

    text: str
    openmetrics: str


@pytest.fixture(scope="module")
def exposed() -> Exposed:
    """Run an exporter that hears everything a pool can tell, and scrape it."""
    with ExporterProcess() as exporter, instrumented(endpoint=exporter.otlp) as readings:
        _engine = live_through_everything()
        readings.instrumentation.pusher._push(end=False)
        return Exposed(exporter.get("/metrics").text, exporter.get("/metrics", **OPENMETRICS).text)


def read_openmetrics(exposed: Exposed) -> list[Metric]:
    return list(parse_openmetrics(exposed.openmetrics))  # type: ignore[no-untyped-call]


def live_through_everything() -> Engine:
    """Return the engine that did: what has been collected has no gauges."""
    engine = an_engine(pool_pre_ping=True, pool_recycle=1800)
    held = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    for connection in held:
        connection.close()
    engine.connect().close()  # pinged
    engine.dispose()
    return engine


def names_and_labels(families: Iterable[Metric]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_official_parsers_agree_on_what_they_read(exposed: Exposed) -> None:
    text = names_and_labels(parse_text(exposed.text))
    openmetrics = names_and_labels(read_openmetrics(exposed))
    assert text == openmetrics
    for_everybody = [metric for metric in catalogue.METRICS if metric.scope == catalogue.SCOPE]
    assert len(text) > len(for_everybody)


def test_what_is_exposed_obeys_promlint(exposed: Exposed) -> None:
    assert problems(read_openmetrics(exposed)) == []


def test_promlint_would_object_to_a_bad_name() -> None:
    bad = "# TYPE pool_wait_ms gauge\npool_wait_ms 1\n"
    assert sorted(problems(parse_text(bad))) == [
        "pool_wait_ms: no help text",
        "pool_wait_ms: not a base unit",
    ]


@pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not installed; the rules above are its own, in Python",
)
def test_promtool_objects_to_nothing_but_the_standards_own_name(exposed: Exposed) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposed.text,
        capture_output=True,
        text=True,
        check=False,
    )
    said = (checked.stdout + checked.stderr).splitlines()
    assert [line for line in said if not line.startswith("db_client_connection_count ")] == []


def test_every_name_equals_the_official_translation(exposed: Exposed) -> None:
    """Hold our translation to OpenTelemetry's own exporter, fed with the same metrics."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(
        disable_target_info=True, scope_info_enabled=False, registry=registry
    )
    provider = MeterProvider([reader], resource=Resource({}))
    with instrumented(meter_provider=provider, metrics="auto"):
        _engine = live_through_everything()
        official = names_and_labels(registry.collect())
    provider.shutdown()
    ours = names_and_labels(parse_text(exposed.text))
    process = names_and_labels(ProcessCollector(registry=None).collect())
    own = {metric.name for metric in OWN_METRICS} | set(process)
    translated = {name: labels for name, labels in ours.items() if name not in own}
    assert set(translated) == {name for name in official if not name.endswith("_created")}
    for name, labels in official.items():
        if name in translated:
            assert translated[name] - IDENTITY >= labels


def test_the_wire_names_of_a_push_are_all_in_the_catalogue() -> None:
    known = {metric.name for metric in catalogue.METRICS}
    with a_receiver() as receiver:
        with instrumented(endpoint=receiver.endpoint):
            _engine = live_through_everything()
        sent = {
            metric.name
            for push in receiver.arrived
            for resource in push.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
    assert sent <= known

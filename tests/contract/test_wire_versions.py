"""Old and new together: recorded pushes of earlier versions, and the push of this one.

Each file of `recorded_pushes` is a push of the sources of that day, recorded as
`poolscope_generators.recorded_push` tells. An exporter of that version reads the names in it.
"""

import json
import logging
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from poolscope.catalogue import PUSH, PUSH_SCOPE, PUSH_VERSION, WIRE_VERSION
from poolscope_exporter import clock
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.receiver.decode import decode
from poolscope_exporter.receiver.sender_warnings import SenderWarnings
from support.documents.markdown import ROOT

RECORDED = sorted((Path(__file__).parent / "recorded_pushes").glob("*.json"))
BEFORE_REPORTS, WITH_REPORTS = RECORDED[:2], RECORDED[2:]
PREVIOUS = RECORDED[-1]
EVERY = pytest.mark.parametrize(
    "path", [None, *RECORDED], ids=lambda path: path.stem if path else "now"
)


def recorded(path: Path) -> ExportMetricsServiceRequest:
    return ParseDict(json.loads(path.read_text()), ExportMetricsServiceRequest())


@cache
def pushed_now() -> ExportMetricsServiceRequest:
    """Return the push of the same app with this version, from a process of its own."""
    paths = [str(ROOT / "instrumentation" / "src"), str(ROOT / "generators")]
    done = subprocess.run(
        [sys.executable, "-m", "poolscope_generators.recorded_push"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        check=True,
        timeout=240,
    )
    return ParseDict(json.loads(done.stdout), ExportMetricsServiceRequest())


def push_of(path: Path | None) -> ExportMetricsServiceRequest:
    return pushed_now() if path is None else recorded(path)


def names_in(request: ExportMetricsServiceRequest) -> set[tuple[str, str, str]]:
    """Return each metric with its unit, and each attribute of its points, or an empty one."""
    found = set()
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, str(metric.WhichOneof("data")))
                keys = {each.key for point in data.data_points for each in point.attributes}
                # By UCUM, a unit in braces is a remark: {error} and {use} both count.
                unit = "{}" if metric.unit.startswith("{") else metric.unit
                found |= {(metric.name, unit, key) for key in (*keys, "")}
    return found


def situation_after(request: ExportMetricsServiceRequest) -> tuple[Situation, dict[str, int]]:
    """Return what the exporter shows after this push, and the numbers of refused points."""
    decoded = decode(request)
    correlator = Correlator([])
    now_s = clock.monotonic()
    for push in decoded.pushes:
        correlator.take_push(push, now_s)
    refused = {**decoded.refused, **correlator.fleet.refused}
    return correlator.situation(now_s, [], []), {k: n for k, n in refused.items() if n}


def with_future_parts(request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest:
    """Return the push with an attribute on each point, and a metric, that no exporter has yet."""
    future = ExportMetricsServiceRequest()
    future.CopyFrom(request)
    for scope in future.resource_metrics[0].scope_metrics:
        if scope.scope.name != PUSH_SCOPE:
            continue
        for metric in scope.metrics:
            for point in getattr(metric, str(metric.WhichOneof("data"))).data_points:
                point.attributes.append(KeyValue(key="poolscope.from.the.future"))
        added = scope.metrics.add()
        added.CopyFrom(scope.metrics[0])
        added.name = "poolscope.metric.of.the.future"
    return future


def marker_of(request: ExportMetricsServiceRequest) -> list[KeyValue]:
    [metric] = [
        metric
        for scope in request.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        if metric.name == PUSH.name
    ]
    data = getattr(metric, str(metric.WhichOneof("data")))
    return data.data_points[0].attributes  # type: ignore[no-any-return]  # of generated code


@EVERY
def test_exporter_shows_the_pool_and_the_held_connection_of_each_version(path: Path | None) -> None:
    situation, refused = situation_after(push_of(path))

    [pool] = situation.pools
    assert (pool.pool.instance.name, pool.pool.name) == ("shop", "orders")
    assert (pool.numbers.used, pool.numbers.max) == (1, 2)
    [judged] = situation.judgements
    assert judged.checkout.code_function == "record_push"
    assert refused == {}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_app_still_sends_every_name_that_an_earlier_exporter_reads(path: Path) -> None:
    assert names_in(recorded(path)) - names_in(pushed_now()) == set()


@pytest.mark.parametrize("path", BEFORE_REPORTS, ids=lambda path: path.stem)
def test_app_of_a_version_without_reports_of_timeouts_has_none(path: Path) -> None:
    assert [push.timeout_reports for push in decode(recorded(path)).pushes] == [{}]


@pytest.mark.parametrize(
    "path", [None, *WITH_REPORTS], ids=lambda path: path.stem if path else "now"
)
def test_exporter_reads_the_report_of_a_timeout_of_each_version(path: Path | None) -> None:
    [push] = decode(push_of(path)).pushes

    [(pool, report)] = push.timeout_reports.items()
    assert pool.name == "orders"
    assert report.text.startswith("pool orders: callers gave up after 0.1 s; now 2 used of 2")
    assert "in record_push" in report.text


@EVERY
def test_unknown_attribute_or_metric_of_a_newer_app_changes_nothing(path: Path | None) -> None:
    request = push_of(path)
    plain, _ = situation_after(request)

    situation, refused = situation_after(with_future_parts(request))

    assert situation.pools[0].numbers == plain.pools[0].numbers
    assert situation.judgements[0].checkout == plain.judgements[0].checkout
    assert refused == {}


def test_push_carries_the_version_of_the_wire() -> None:
    versions = {each.key: each.value.int_value for each in marker_of(pushed_now())}

    assert versions[PUSH_VERSION] == WIRE_VERSION
    assert decode(pushed_now()).pushes[0].wire_version == WIRE_VERSION
    assert decode(recorded(PREVIOUS)).pushes[0].wire_version == 1


def test_app_that_is_newer_than_the_exporter_is_named_once_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = ExportMetricsServiceRequest()
    request.CopyFrom(pushed_now())
    for attribute in marker_of(request):
        if attribute.key == PUSH_VERSION:
            attribute.value.int_value = WIRE_VERSION + 1
    caplog.set_level(logging.WARNING)
    correlator, warnings = Correlator([]), SenderWarnings()

    for _ in range(2):
        [push] = decode(request).pushes
        now_s = clock.monotonic()
        warnings.log_result(push, correlator.take_push(push, now_s), now_s)

    [message] = [record.message for record in caplog.records]
    assert f"wire version {WIRE_VERSION + 1}" in message
    assert "upgrade the exporter before its apps" in message

"""Metrics that are not about pools, traces and logs are counted, and disturb neither side."""

import gzip
from dataclasses import dataclass

import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.receiver import request_size
from poolscope_exporter.receiver.decode import decode
from poolscope_exporter.receiver.endpoint import ReceiverCounts, create_receiver
from support.exporter.otlp_messages import a_gauge, a_marker, a_request, a_sum

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
JVM = a_gauge("jvm.memory.used", 1)
SPANS = ExportTraceServiceRequest()
for _ in range(2):
    SPANS.resource_spans.add().scope_spans.add().spans.add(name="a")
SPANS.resource_spans[0].scope_spans[0].spans.add(name="b")
LOGS = ExportLogsServiceRequest()
LOGS.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")


@dataclass(frozen=True)
class Signal:
    """A request of a signal that is not kept, and the field of its answer."""

    name: str
    request: Message
    response: Message
    field: str
    count: int


SIGNALS = [
    Signal("traces", SPANS, ExportTraceServiceResponse(), "rejected_spans", 3),
    Signal("logs", LOGS, ExportLogsServiceResponse(), "rejected_log_records", 1),
]


def accept(_: Push) -> PushResult:
    return PushResult(0, None)


async def post(
    counts: ReceiverCounts, path: str, body: bytes, headers: dict[str, str]
) -> httpx.Response:
    app = create_receiver(accept, None, counts)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.post(path, content=body, headers=headers)


def test_metrics_that_are_not_about_pools_are_neither_kept_nor_refused() -> None:
    decoded = decode(a_request(JVM, a_gauge("db.client.operation.duration", 1), a_sum("up", 1)))

    assert (decoded.pushes, decoded.refused, decoded.ignored) == ((), {}, 3)


def test_pools_beside_other_metrics_are_kept() -> None:
    [push] = decode(a_request(JVM, a_gauge("db.client.connection.max", 1))).pushes

    assert [point.metric for point in push.points] == ["db.client.connection.max"]


def test_process_without_a_pool_takes_no_place() -> None:
    assert decode(a_request(JVM)).pushes == ()


def test_push_of_poolscope_counts_also_without_points() -> None:
    assert len(decode(a_request(JVM, push=(a_marker(),))).pushes) == 1


@pytest.mark.parametrize("name", ["poolscope.invented", "db.client.connections.invented"])
def test_unknown_metric_of_a_pool_is_not_ignored(name: str) -> None:
    decoded = decode(a_request(a_gauge(name, 1)))

    assert decoded.ignored == 0
    assert len(decoded.pushes[0].points) == 1


async def test_other_metrics_get_no_partial_success() -> None:
    counts = ReceiverCounts()

    answer = await post(counts, "/v1/metrics", a_request(JVM).SerializeToString(), PROTOBUF)

    response = ExportMetricsServiceResponse.FromString(answer.content)
    assert (answer.status_code, response.HasField("partial_success")) == (200, False)
    assert counts.ignored == {"metrics": 1, "traces": 0, "logs": 0}


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
@pytest.mark.parametrize("is_json", [False, True])
async def test_other_signals_are_answered_with_the_number_of_rejected_records(
    signal: Signal, is_json: bool
) -> None:
    counts, response = ReceiverCounts(), type(signal.response)()
    body = (
        json_format.MessageToJson(signal.request).encode()
        if is_json
        else signal.request.SerializeToString()
    )

    answer = await post(counts, f"/v1/{signal.name}", body, JSON if is_json else PROTOBUF)

    if is_json:
        json_format.Parse(answer.content, response)
    else:
        response.ParseFromString(answer.content)
    partial = response.partial_success  # type: ignore[attr-defined]
    assert (answer.status_code, getattr(partial, signal.field)) == (200, signal.count)
    assert "OTEL_EXPORTER_OTLP_" in partial.error_message
    assert (counts.ignored[signal.name], counts.requests["ignored"]) == (signal.count, 1)


async def test_compressed_traces_are_counted() -> None:
    counts = ReceiverCounts()
    body = gzip.compress(SPANS.SerializeToString())

    answer = await post(counts, "/v1/traces", body, {**PROTOBUF, "Content-Encoding": "gzip"})

    assert (answer.status_code, counts.ignored["traces"]) == (200, 3)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", PROTOBUF, 400),
        (b"[]", JSON, 400),
        (b'{"resourceSpans": 7}', JSON, 400),
        (b"{" * 100_000, JSON, 400),
        (SPANS.SerializeToString(), {"Content-Type": "text/plain"}, 415),
    ],
)
async def test_bad_request_of_another_signal_is_an_error(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await post(ReceiverCounts(), "/v1/traces", body, headers)).status_code == status


def test_records_are_counted_no_further_than_the_limit() -> None:
    assert request_size.records_in(SPANS.SerializeToString(), limit=1) == 2

"""The exporter as a process, and senders who would harm it: it answers, counts, and stays small.

`make test-long` sends a million distinct label values of each kind (`HOSTILE_LABELS`).
"""

import gzip
import os
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from poolscope import catalogue
from support.exporter.exporter_process import ExporterProcess
from support.exporter.otlp_messages import POOL, a_marker, a_request, a_sum, number, pairs
from support.processes.child_processes import wait_until

MIB = 1024 * 1024
LABELS = int(os.environ.get("HOSTILE_LABELS", "10000"))
PER_REQUEST = 1_000
GROWTH_MIB = 150
"""What the exporter may take beyond its ordinary size, at the peak of an attack."""

HEADERS = (
    b"POST /v1/metrics HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
)
PROTOBUF = {"Content-Type": "application/x-protobuf"}
GOOD = a_request(a_sum(catalogue.CHECKOUTS.name, 7)).SerializeToString()


@pytest.fixture(scope="module")
def exporter() -> Iterator[ExporterProcess]:
    with ExporterProcess(
        "--header-timeout=1", "--body-timeout=1", "--max-connections=30"
    ) as running:
        yield running


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20)


def answer_to(exporter: ExporterProcess, *parts: bytes) -> bytes:
    """Send parts and nothing more; return all that is answered until the exporter hangs up."""
    with connect(exporter.otlp) as peer:
        for part in parts:
            peer.sendall(part)
        found = b""
        while received := peer.recv(65536):
            found += received
        return found


def count(exporter: ExporterProcess, name: str, **labels: str) -> float:
    said = ",".join(f'{key}="{value}"' for key, value in labels.items())
    wanted = re.escape(f"{name}{{{said}}}")
    found: list[str] = []

    def is_there() -> bool:
        found[:] = re.findall(rf"^{wanted} (.*)$", exporter.get("/metrics").text, re.MULTILINE)
        return bool(found)

    assert wait_until(is_there), f"{name} {labels}"
    return float(found[0])


def grows(exporter: ExporterProcess, name: str, by: float, since: float, **labels: str) -> bool:
    return wait_until(lambda: count(exporter, name, **labels) >= since + by)


def memory_mib(exporter: ExporterProcess, name: str) -> float:
    """Return `VmRSS` (now) or `VmHWM` (at the peak) of the exporter."""
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    [kib] = re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return int(kib) / 1024


CLOSED = "poolscope_listener_connections_closed_total"
RECEIVED = "poolscope_receiver_requests_total"


@pytest.mark.parametrize("sent", [b"", b"POST /v1/me", HEADERS])
def test_a_sender_whose_headers_do_not_come_is_cut_off(
    exporter: ExporterProcess, sent: bytes
) -> None:
    before = count(exporter, CLOSED, listener="otlp", reason="slow_headers")

    answer = answer_to(exporter, sent)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert grows(exporter, CLOSED, 1, before, listener="otlp", reason="slow_headers")


@pytest.mark.parametrize(
    "length", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1\r\n"]
)
def test_a_sender_whose_body_does_not_come_is_told_so(
    exporter: ExporterProcess, length: bytes
) -> None:
    before = count(exporter, RECEIVED, result="too_slow")

    answer = answer_to(exporter, HEADERS, length, b"\x0a")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 1 s" in answer
    assert grows(exporter, RECEIVED, 1, before, result="too_slow")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"Content-Length: -1\r\n\r\n", b"400"),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"Content-Length: 99999999999\r\n\r\n", b"413"),
        (b"Content-Length: 1\r\n\r\n\x0a and more than was said", b"400"),
    ],
)
def test_a_length_that_lies_is_an_error_of_its_sender_alone(
    exporter: ExporterProcess, said: bytes, status: bytes
) -> None:
    answer = answer_to(exporter, HEADERS, said)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert exporter.push(GOOD).status_code == 200


def test_headers_without_end_are_read_no_further_than_64_kib(exporter: ExporterProcess) -> None:
    lines = (b"X: " + b"x" * 8_000 + b"\r\n") * 1_000
    with connect(exporter.otlp) as peer, pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
        peer.sendall(HEADERS + lines)

    assert exporter.push(GOOD).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_whoever_holds_connections_shuts_out_nobody(exporter: ExporterProcess, path: str) -> None:
    with ExitStack() as held:
        for _ in range(100):
            for url in (exporter.web, exporter.otlp):
                held.enter_context(connect(url)).sendall(b"GET / HT")

        assert httpx.get(exporter.web + path, trust_env=False).status_code == 200
        pushed = httpx.post(
            f"{exporter.otlp}/v1/metrics", content=GOOD, headers=PROTOBUF, trust_env=False
        )
        assert pushed.status_code == 200
    assert count(exporter, CLOSED, listener="otlp", reason="replaced") > 0
    assert count(exporter, CLOSED, listener="web", reason="replaced") > 0


def test_where_every_connection_is_busy_a_new_one_is_told_to_come_again(
    exporter: ExporterProcess,
) -> None:
    before = count(exporter, CLOSED, listener="otlp", reason="too_many")
    with ExitStack() as held:
        for _ in range(30):
            peer = held.enter_context(connect(exporter.otlp))
            peer.sendall(HEADERS + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            assert peer.recv(65536).startswith(b"HTTP/1.1 100 ")
        late = held.enter_context(connect(exporter.otlp))

        assert late.recv(65536).startswith(b"HTTP/1.1 503 ")
        assert exporter.get("/healthz").status_code == 200
    assert grows(exporter, CLOSED, 1, before, listener="otlp", reason="too_many")
    assert wait_until(lambda: exporter.push(GOOD).status_code == 200)


def bomb(mib: int) -> bytes:
    pack = zlib.compressobj(9, wbits=31)
    return b"".join(pack.compress(bytes(MIB)) for _ in range(mib)) + pack.flush()


BOMB = bomb(256)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (BOMB, {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(BOMB), {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(GOOD)[:-9], {"Content-Encoding": "gzip"}, 400),
        (b"\x0a\x00" * (2 * MIB - 1), {}, 413),
        (gzip.compress(b"\x0a\x00" * (8 * MIB - 1)), {"Content-Encoding": "gzip"}, 413),
        (b'{"resourceMetrics":' + b"[" * 100_000, {"Content-Type": "application/json"}, 400),
        (b'{"a":' * 100_000, {"Content-Type": "application/json"}, 400),
        (
            b'{"resourceMetrics":[' + b"{}," * MIB + b"{}]}",
            {"Content-Type": "application/json"},
            413,
        ),
    ],
    ids=["bomb", "bomb in gzip", "truncated", "empty", "empty in gzip", "lists", "objects", "json"],
)
def test_a_body_that_unfolds_is_refused_within_bounded_memory(
    exporter: ExporterProcess, body: bytes, headers: dict[str, str], status: int
) -> None:
    before = memory_mib(exporter, "VmRSS")

    response = httpx.post(
        f"{exporter.otlp}/v1/metrics",
        content=body,
        headers=PROTOBUF | headers,
        trust_env=False,
        timeout=60,
    )

    assert response.status_code == status
    assert memory_mib(exporter, "VmHWM") < before + GROWTH_MIB
    assert exporter.push(GOOD).status_code == 200


def of_instances(first: int) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    for at in range(first, first + PER_REQUEST):
        resource = {"service.name": f"s{at}", "service.instance.id": f"i{at}"}
        request.MergeFrom(a_request(a_sum(catalogue.CHECKOUTS.name, 1), resource=resource))
    return request


def of_points(first: int, metric: Metric, attribute: str) -> ExportMetricsServiceRequest:
    metric.sum.ClearField("data_points")
    values = range(first, first + PER_REQUEST)
    points = [number(1, {**POOL, attribute: f"/value/{at}"}) for at in values]
    metric.sum.data_points.extend(points)
    return a_request(metric, push=(a_marker(1 + first),))


def of_pools(first: int) -> ExportMetricsServiceRequest:
    return of_points(first, a_sum(catalogue.CHECKOUTS.name, 1), catalogue.POOL_NAME)


def of_routes(first: int) -> ExportMetricsServiceRequest:
    return of_points(first, a_sum(catalogue.ROUTE_CHECKOUTS.name, 1), catalogue.HTTP_ROUTE)


def of_novelties(first: int) -> ExportMetricsServiceRequest:
    request = of_points(first, a_sum("db.client.connection.novel", 1), "novel")
    for point in request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points:
        point.attributes.extend(pairs({f"x{at}": "x" * 256 for at in range(10)}))
    return request


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (of_instances, "too_many_instances"),
        (of_pools, "too_many_pools"),
        (of_routes, "too_many_series"),
        (of_novelties, "too_many_series"),
    ],
)
def test_distinct_label_values_without_end_are_refused_within_bounded_memory(
    make: Callable[[int], ExportMetricsServiceRequest], reason: str
) -> None:
    with ExporterProcess() as exporter:
        exporter.push(GOOD)
        before = memory_mib(exporter, "VmRSS")
        rejected = 0
        for first in range(0, LABELS, PER_REQUEST):
            response = exporter.push(make(first).SerializeToString())
            assert response.status_code == 200
            answer = ExportMetricsServiceResponse.FromString(response.content)
            rejected += answer.partial_success.rejected_data_points
        peak, after = (memory_mib(exporter, name) for name in ("VmHWM", "VmRSS"))
        size = len(exporter.get("/metrics").content) / MIB
        told = (
            f"{make.__name__}: {LABELS} values, {rejected} refused; RSS {before:.0f} MiB before,"
            f" {peak:.0f} at the peak, {after:.0f} after; /metrics {size:.1f} MiB"
        )
        print(told)  # noqa: T201 - `make test-long` shows it
        assert count(exporter, "poolscope_receiver_refused_total", reason=reason) == rejected > 0
        assert peak < before + GROWTH_MIB
        assert exporter.get("/healthz").status_code == 200

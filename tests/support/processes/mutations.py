"""Make hostile OTLP requests: valid ones of every kind, mutated as bytes and as JSON text."""

import random
from collections.abc import Callable, Iterator, Sequence

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from poolscope import catalogue
from support.exporter.otlp_messages import (
    DELTA,
    POOL,
    a_gauge,
    a_histogram,
    a_marker,
    a_request,
    a_sum,
    a_summary,
    an_exponential_histogram,
    gauges,
    number,
)

_NUMBERS = (b"NaN", b"-1", b"1e999", b"18446744073709551616", b"-0", b'"NaN"', b'"Infinity"')
_TOKENS = (
    *_NUMBERS, b"null", b"{}", b"[]", b"[[[[", b'"', b"\\ud800", b"\\u0000", b"true", b",", b"}",
    b"\xff", b'"x"',
)  # fmt: skip
_TEXTS = (
    "",
    "\x00",
    "\n",
    '"',
    "\\",
    "le",
    "quantile",
    "__name__",
    "a.b",
    "a_b",
    "é",
    "\U0001f600",
)
_HUGE = (float("nan"), float("inf"), -1.0, 1e308, 5e-324, 2**63 - 1, -(2**63))

Mutation = Callable[[bytes, random.Random], bytes]


def corpus() -> list[ExportMetricsServiceRequest]:
    """Return valid requests that use every kind of metric, and everything of our own scope."""
    held = {**POOL, catalogue.CHECKOUT_ID: 1, catalogue.BACKEND_PID: 4711, "http.route": "/a"}
    pids = {**POOL, catalogue.BACKEND_PIDS: [4711, 4712]}
    own = (
        a_marker(),
        gauges(catalogue.CHECKOUT_AGE.name, number(8.5, held)),
        gauges(catalogue.CHECKOUTS_HELD.name, number(1)),
        gauges(catalogue.CHECKOUTS_LISTED.name, number(1)),
        gauges(catalogue.POOL_SESSIONS.name, number(2, pids)),
    )
    state = {**POOL, catalogue.CONNECTION_STATE: "used"}
    numbers = (
        a_sum(catalogue.COUNT.name, 3, state, is_monotonic=False),
        a_sum(catalogue.MAX.name, 5, is_monotonic=False),
        a_sum(catalogue.CHECKOUTS.name, 9),
        a_sum(catalogue.TIMEOUTS.name, 9, temporality=DELTA),
        a_sum(catalogue.ROUTE_HELD_TIME.name, 2.5, {**POOL, "http.route": "/a"}, unit="s"),
        a_gauge(catalogue.POOL_SIZE.name, 5),
        a_gauge("db.client.connection.novel", 5, {**POOL, "le": "1", "é": "x"}),
    )
    bounds, counts = [0.5, 2.0], [4, 1, 2]
    histograms = (
        a_histogram(catalogue.WAIT_TIME.name, bounds, counts),
        a_histogram(catalogue.USE_TIME.name, bounds, counts, temporality=DELTA),
        an_exponential_histogram(catalogue.CREATE_TIME.name, {0: 2, 3: 1}, temporality=DELTA),
        an_exponential_histogram("db.client.connections.wait_time", {9: 2}, unit="ms"),
        a_summary("db.client.connection.summary"),
    )
    return [
        a_request(*numbers),
        a_request(*histograms),
        a_request(*numbers, *histograms, push=own),
        a_request(*numbers, resource={"service.name": "b"}),
    ]


def hostile_protobuf(seed: int) -> Iterator[bytes]:
    """Yield bodies without end: mutated values in valid messages, and mutated bytes."""
    chance = random.Random(seed)
    requests = corpus()
    while True:
        request = ExportMetricsServiceRequest()
        request.CopyFrom(chance.choice(requests))
        for _ in range(chance.randrange(4)):
            _disturb(request, chance)
        body = request.SerializeToString()
        yield _mutated(body, chance, _BYTE_MUTATIONS) if chance.random() < 0.6 else body


def hostile_json(seed: int) -> Iterator[bytes]:
    """Yield bodies without end: JSON with mutated values, tokens and bytes."""
    chance = random.Random(seed)
    texts = [json_format.MessageToJson(request, indent=None).encode() for request in corpus()]
    while True:
        body = chance.choice(texts)
        yield _mutated(body, chance, (*_BYTE_MUTATIONS, _with_token, _without_value))


def _disturb(request: ExportMetricsServiceRequest, chance: random.Random) -> None:
    """Give one point of a valid request a value, a time or an attribute that no one expects."""
    scope = chance.choice(request.resource_metrics[0].scope_metrics)
    metric = chance.choice(scope.metrics)
    data = getattr(metric, str(metric.WhichOneof("data")))
    point = chance.choice(data.data_points)
    match chance.randrange(6):
        case 0 if hasattr(point, "as_double"):
            point.as_double = chance.choice(_HUGE)
        case 0:
            point.count = chance.randrange(2**64)
        case 1:
            point.time_unix_nano = chance.randrange(2**64)
            point.start_time_unix_nano = chance.randrange(2**64)
        case 2:
            added = point.attributes.add(key=chance.choice(_TEXTS))
            added.value.string_value = chance.choice(_TEXTS) * chance.choice((1, 300))
        case 3:
            metric.name = chance.choice(("db.client.connection.", metric.name)) + chance.choice(
                _TEXTS
            )
        case 4:
            metric.unit = chance.choice(_TEXTS)
        case 5:
            metric.name = metric.name[: chance.randrange(len(metric.name) + 1)]


def _mutated(body: bytes, chance: random.Random, mutations: Sequence[Mutation]) -> bytes:
    for _ in range(1 + chance.randrange(3)):
        if body:
            body = chance.choice(mutations)(body, chance)
    return body


def _flipped(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + bytes((body[at] ^ (1 << chance.randrange(8)),)) + body[at + 1 :]


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body))]


def _without(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + body[at + chance.randrange(16) :]


def _doubled(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + body[at : at + chance.randrange(64)] * 2 + body[at:]


def _with_noise(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + chance.randbytes(chance.randrange(8)) + body[at:]


def _with_token(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + chance.choice(_TOKENS) + body[at:]


def _without_value(body: bytes, chance: random.Random) -> bytes:
    """Replace one number, so that the text stays JSON more often than not."""
    at = body.find(b":", chance.randrange(len(body)))
    end = min((found for mark in b",}]" if (found := body.find(mark, at)) > 0), default=len(body))
    return body[: at + 1] + chance.choice(_TOKENS) + body[end:]


_BYTE_MUTATIONS: tuple[Mutation, ...] = (_flipped, _cut, _without, _doubled, _with_noise)

"""Simulate a fleet of application processes that push to an exporter, in a process of its own."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint
from opentelemetry.sdk.resources import Resource

from poolscope import catalogue
from poolscope.pushing.encoding import encode
from poolscope.pushing.samples import Attributes, Sample
from support.applications.apps import instrumented
from support.applications.dbapi import an_engine
from support.exporter.otlp_messages import pairs

PUSH_INTERVAL_S = 5.0
ROUTES = 10
DEPLOY_S = 60.0
POOLS = ("orders", "reports")

HELD, WAITING = 15, 10
"""Connections and callers of a process under pressure."""

TURN_S = 0.002
NOW_NS = 1_700_000_000_000_000_000
MARKER = catalogue.PUSH.name
INTERVAL = re.compile(rb"(?i)" + catalogue.INTERVAL_HEADER.encode() + rb": *([0-9.]+)")


class SimulatedProcess:
    """One application process: its push, with counters that grow from one to the next.

    Under pressure it pushes the partial template as fast as the exporter allows, and the whole one
    at the usual interval.
    """

    def __init__(
        self, template: bytes, number: int, generation: int, partial: bytes | None = None
    ) -> None:
        name = f"shop-{generation}-7d9f8b6c5-{number:05d}"
        resource = {
            catalogue.SERVICE_NAMESPACE: "acme",
            catalogue.SERVICE_NAME: f"shop-{number % 20}",
            catalogue.SERVICE_INSTANCE_ID: name,
            catalogue.HOST_NAME: f"node-{number % 50}",
            catalogue.K8S_POD_NAME: name,
            catalogue.PROCESS_PID: str(number),
        }
        self._request, self._marker, metrics = _request_of(template, resource)
        self._partial = _request_of(partial, resource)[:2] if partial else None
        self.due_s, self.complete_due_s = 0.0, 0.0
        self._counters = [p for m in metrics if m.sum.is_monotonic for p in m.sum.data_points]
        self._histograms = [p for m in metrics for p in m.histogram.data_points]
        self._sequence = 0
        self.points = sum(len(m.sum.data_points) + len(m.gauge.data_points) for m in metrics)
        self.points += len(self._histograms)

    @property
    def is_pressed(self) -> bool:
        """Return whether it is under pressure."""
        return self._partial is not None

    def continue_from(self, before: "SimulatedProcess") -> None:
        """Take the place of what it was before: the same process, only now in trouble."""
        self._sequence, self.due_s = before._sequence, before.due_s
        self.complete_due_s = before.complete_due_s

    def next_body(self, now_s: float) -> bytes:
        """Return the push that is due: a partial one until the next whole one is due."""
        if self._partial is None or now_s >= self.complete_due_s:
            self.complete_due_s = now_s + PUSH_INTERVAL_S
            return self.body()
        request, marker = self._partial
        self._sequence += 1
        marker.as_int = self._sequence
        return request.SerializeToString()

    def body(self, *, is_end: bool = False) -> bytes:
        """Return the next whole push."""
        self._sequence += 1
        self._marker.as_int = self._sequence
        for point in self._counters:
            if point.HasField("as_int"):
                point.as_int += 1
            else:
                point.as_double += 0.125
        for histogram in self._histograms:
            histogram.bucket_counts[2] += 1
            histogram.count += 1
            histogram.sum += 0.0078125
        if is_end:
            for attribute in self._marker.attributes:
                if attribute.key == catalogue.PUSH_END:
                    attribute.value.bool_value = True
        return self._request.SerializeToString()


def _request_of(
    template: bytes, resource: Mapping[str, str]
) -> tuple[ExportMetricsServiceRequest, NumberDataPoint, list[Metric]]:
    """Return the request of a process, its marker, and its metrics."""
    request = ExportMetricsServiceRequest.FromString(template)
    request.resource_metrics[0].resource.attributes.extend(pairs(resource))
    metrics = [m for s in request.resource_metrics[0].scope_metrics for m in s.metrics]
    marker = next(m for m in metrics if m.name == MARKER).gauge.data_points[0]
    return request, marker, metrics


def a_pressed_push(
    *, is_partial: bool, held: int = HELD, interval_s: float = PUSH_INTERVAL_S
) -> bytes:
    """Return what `poolscope` says of a full pool with ten waiting callers: small, or all of it."""
    options = {"push_interval_s": PUSH_INTERVAL_S, "held_after_s": 0, "service_name": "shop"}
    with instrumented(**options) as readings, ExitStack() as stack:
        engine = an_engine(pool_size=held, max_overflow=0, pool_timeout=60)
        out = [engine.connect() for _ in range(held)]
        threads = [Thread(target=lambda: engine.connect().close()) for _ in range(WAITING)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        for connection in out:
            stack.callback(connection.close)
        while (readings.value(catalogue.PENDING_REQUESTS) or 0) < WAITING:
            pass
        samples = readings.instrumentation.pusher.push_samples(is_partial=is_partial)
        pressure = {catalogue.PUSH_PRESSURE: True, catalogue.PUSH_PARTIAL: is_partial}
        mark = _mark(**pressure, **{catalogue.PUSH_INTERVAL: interval_s})
        return encode([*samples, mark], Resource({}), NOW_NS, NOW_NS)


def _mark(**attributes: float) -> Sample:
    marker: Attributes = {
        catalogue.PUSH_INTERVAL: PUSH_INTERVAL_S,
        catalogue.PUSH_END: False,
        catalogue.PUSH_PUBLISHER: catalogue.Publisher.EXPORTER.value,
    }
    return Sample(catalogue.PUSH, {**marker, **attributes}, 1)


def a_realistic_push(pools: Sequence[str] = POOLS[:1]) -> bytes:
    """Return what `poolscope` says of a process with these pools, routes and held checkouts."""
    with instrumented() as readings:
        engine = an_engine(pool_pre_ping=True, pool_recycle=1800)
        for _ in range(3):
            engine.connect().close()
        one_pool = list(readings.instrumentation.pusher.samples())
        engine.dispose()
    found = [s for s in one_pool if s.metric.scope == catalogue.SCOPE]
    samples = [sample for name in pools for sample in _pool(found, name)]
    return encode([*samples, _mark()], Resource({}), NOW_NS, NOW_NS)


def _pool(samples: Sequence[Sample], name: str) -> Iterator[Sample]:
    identity: Attributes = {
        catalogue.POOL_NAME: name,
        catalogue.DB_NAMESPACE: name,
        catalogue.SERVER_ADDRESS: "postgres.databases.svc.cluster.local",
        catalogue.SERVER_PORT: 5432,
    }
    for sample in samples:
        if sample.metric not in catalogue.PROCESS_METRICS:
            yield Sample(sample.metric, {**sample.attributes, **identity}, sample.value)
        elif name == "orders":
            yield sample
    for number in range(ROUTES):
        labels = {**identity, catalogue.HTTP_ROUTE: f"/{name}/{{order_id}}/items-{number}"}
        yield Sample(catalogue.ROUTE_CHECKOUTS, labels, 100)
        yield Sample(catalogue.ROUTE_HELD_TIME, labels, 12.5)
    pids = list(range(1000, 1010))
    yield Sample(catalogue.POOL_SESSIONS, {**identity, catalogue.BACKEND_PIDS: pids}, len(pids))
    for count in (catalogue.CHECKOUTS_HELD, catalogue.CHECKOUTS_LISTED):
        yield Sample(count, identity, 1)
    held: Attributes = {catalogue.CHECKOUT_ID: len(name), catalogue.HTTP_ROUTE: f"/{name}/export"}
    yield Sample(catalogue.CHECKOUT_AGE, {**identity, **held}, 12.5)


class _Fleet:
    """Simulated processes that push in turn, so that each one does every five seconds."""

    def __init__(
        self, endpoint: str, template: bytes, size: int, interval_s: float = PUSH_INTERVAL_S
    ) -> None:
        self._interval_s = interval_s
        self._allowed_s = PUSH_INTERVAL_S
        address = urlsplit(endpoint)
        assert address.hostname
        assert address.port
        self._address = address.hostname, address.port
        self._template = template
        self._size = size
        self._processes = [SimulatedProcess(template, n, 0) for n in range(size)]
        self.points = self._processes[0].points
        self.refused = 0
        self._pushes: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Push for ever, each process at its time."""
        began_s = time.monotonic()
        for number, process in enumerate(self._processes):
            process.due_s = began_s + number * self._interval_s / self._size
        while True:
            now_s = time.monotonic()
            for process in [each for each in self._processes if each.due_s <= now_s]:
                # Under pressure it pushes more often, if it may, and never less.
                allowed_s = min(self._allowed_s, PUSH_INTERVAL_S)
                process.due_s += allowed_s if process.is_pressed else self._interval_s
                self._start(process.next_body(now_s))
            await asyncio.sleep(TURN_S)

    def begin_outage(self, pressed: int) -> None:
        """Put the first processes under pressure, each with a full pool and waiting callers."""
        whole, partial = (a_pressed_push(is_partial=each) for each in (False, True))
        for number in range(self._size):
            is_pressed = number < pressed
            new = SimulatedProcess(
                whole if is_pressed else self._template, number, 0, partial if is_pressed else None
            )
            new.continue_from(self._processes[number])
            self._processes[number] = new

    async def deploy(self, generation: int) -> None:
        """Replace every process by a new one, each after the other, within DEPLOY_S."""
        due_s = time.monotonic()
        for number, old in enumerate(self._processes):
            new = SimulatedProcess(self._template, number, generation)
            self._processes[number] = new
            self._start(new.body())
            self._start(old.body(is_end=True))
            due_s += DEPLOY_S / self._size
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    def _start(self, body: bytes) -> None:
        task = asyncio.create_task(self._push(body))
        self._pushes.add(task)
        task.add_done_callback(self._pushes.discard)

    async def _push(self, body: bytes) -> None:
        request = (
            "POST /v1/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(2.0):  # as poolscope's own pusher
                answer = await _exchange(self._address, request.encode() + body)
        except (OSError, TimeoutError):
            answer = b""
        if named := INTERVAL.search(answer):
            self._allowed_s = float(named[1])
        # An answer with a body refuses a part.
        self.refused += not (answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n"))


async def _exchange(address: tuple[str, int], request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


class SimulatedFleet:
    """A fleet in a process of its own: what it costs to simulate takes nothing from the rest.

    In each interval each of its processes pushes once, over a connection of its own. With `held`,
    each has a full pool of so many held connections, and waiting callers.
    """

    def __init__(
        self,
        endpoint: str,
        size: int,
        pools: int,
        held: int | None = None,
        interval_s: float = PUSH_INTERVAL_S,
    ) -> None:
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_simulate,
            args=(theirs, endpoint, size, pools),
            kwargs={"held": held, "interval_s": interval_s},
        )

    def __enter__(self) -> Self:
        self._process.start()
        self.points: int = self._ours.recv()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.join()

    def start_deploy(self, generation: int) -> None:
        """Begin to replace every process by a new one; this takes DEPLOY_S."""
        self._ours.send(generation)

    def begin_outage(self, pressed: int) -> None:
        """Put so many processes under pressure, and wait until they are."""
        self._ours.send(-pressed)
        self._ours.recv()

    def refused(self) -> int:
        """Wait for the deploy that was started; return how many pushes were refused so far."""
        refused: int = self._ours.recv()
        return refused


def _simulate(
    pipe: Connection, endpoint: str, size: int, pools: int, *, held: int | None, interval_s: float
) -> None:
    template = a_realistic_push(POOLS[:pools])
    if held is not None:
        template = a_pressed_push(is_partial=False, held=held, interval_s=interval_s)
    asyncio.run(_push(pipe, _Fleet(endpoint, template, size, interval_s)))


async def _push(pipe: Connection, fleet: _Fleet) -> None:
    pipe.send(fleet.points)
    pushing = asyncio.create_task(fleet.run())
    while not pushing.done():
        generation = await asyncio.to_thread(pipe.recv)
        if generation <= 0:
            fleet.begin_outage(-generation)
        else:
            await fleet.deploy(generation)
        pipe.send(fleet.refused)

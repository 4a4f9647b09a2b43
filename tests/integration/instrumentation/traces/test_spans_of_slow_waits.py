"""Spans of slow waits through the real OpenTelemetry SDK, for each pool library."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from unittest import mock

import asyncpg  # type: ignore[import-untyped]
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import StatusCode, TracerProvider
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from poolscope import catalogue
from poolscope.clock import wall_ns
from poolscope.recording.traces import slow_notes
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.applications.dbapi import Server, an_engine
from support.applications.traced import Traces, traced

EVERY_WAIT = {"wait_span_after_s": 1e-9}


@pytest.fixture
def traces() -> Iterator[Traces]:
    with traced() as traces:
        yield traces


def take_notes(readings: Readings) -> None:
    """Do what the pusher's thread does every second."""
    readings.instrumentation.pusher._take_traced_notes()


def make_spans(readings: Readings, traces: Traces) -> list[ReadableSpan]:
    take_notes(readings)
    return traces.waits


def fill(engine: Engine) -> list[Any]:
    return [engine.connect() for _ in range(3)]


def attribute(span: ReadableSpan, name: str) -> object:
    assert span.attributes is not None
    return span.attributes.get(name)


def test_a_wait_for_a_place_is_a_child_of_the_callers_span_with_its_true_times(
    traces: Traces,
) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine(pool_timeout=60)
        held = fill(engine)
        times: list[Any] = []

        def call() -> None:
            with traces.tracer.start_as_current_span("GET /orders") as span:
                began_ns = wall_ns()
                engine.connect().close()
                times.extend((span, began_ns, wall_ns()))

        waiting = threading.Thread(target=call)
        waiting.start()
        while not readings.value(catalogue.PENDING_REQUESTS):
            pass
        held[0].close()
        waiting.join()
        [span] = make_spans(readings, traces)
        for each in held[1:]:
            each.close()
    parent, began_ns, ended_ns = times
    assert span.parent is not None
    assert span.context is not None
    assert span.parent.span_id == parent.get_span_context().span_id
    assert span.context.trace_id == parent.get_span_context().trace_id
    # Two clocks are compared: a machine may set the wall clock by a little meanwhile.
    assert span.start_time is not None
    assert span.end_time is not None
    assert began_ns - 5e7 <= span.start_time <= span.end_time <= ended_ns + 5e7
    assert attribute(span, catalogue.PHASE) == "queue"
    assert attribute(span, catalogue.OUTCOME) == "acquired"
    assert attribute(span, catalogue.POOL_NAME) == readings_name(readings)
    assert span.status.status_code is StatusCode.UNSET


def readings_name(readings: Readings) -> str:
    [pool] = readings.instrumentation.registry.pools
    return pool.stats.identity.name


def test_a_caller_that_gives_up_has_a_span_with_an_error(traces: Traces) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine(pool_timeout=0.06)
        held = fill(engine)
        with (
            traces.tracer.start_as_current_span("GET /orders"),
            pytest.raises(PoolTimeoutError),
        ):
            engine.connect()
        [span] = make_spans(readings, traces)
        for each in held:
            each.close()
    assert attribute(span, catalogue.OUTCOME) == "timeout"
    assert attribute(span, catalogue.PHASE) == "queue"
    assert span.status.status_code is StatusCode.ERROR


def test_a_connection_that_cannot_be_opened_has_a_span_with_an_error(traces: Traces) -> None:
    server = Server()
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine(server)
        engine.connect().close()
        server.refusing = True
        first = engine.connect()
        with (
            traces.tracer.start_as_current_span("GET /orders"),
            pytest.raises(ConnectionRefusedError),
        ):
            engine.connect()
        first.close()
        [span] = make_spans(readings, traces)
    assert attribute(span, catalogue.OUTCOME) == "error"
    assert span.status.status_code is StatusCode.ERROR


def test_a_wait_below_the_setting_has_no_span(traces: Traces) -> None:
    with instrumented(wait_span_after_s=3600) as readings:
        with traces.tracer.start_as_current_span("GET /orders"):
            an_engine().connect().close()
        assert make_spans(readings, traces) == []


def test_with_0_no_wait_has_a_span_but_slow_ones_keep_their_exemplars(traces: Traces) -> None:
    with instrumented(wait_span_after_s=0) as readings:
        engine = an_engine(pool_timeout=60)
        engine.connect().close()
        [pool] = readings.instrumentation.registry.pools
        with traces.tracer.start_as_current_span("GET /orders"):
            pool.stats.slow.note_wait(1.0, 2.0)
        assert make_spans(readings, traces) == []
        [sample] = readings.samples(catalogue.WAIT_TIME)
    assert [each.value for each in sample.value.exemplars] == [1.0]  # type: ignore[union-attr]


def test_a_parent_that_is_not_sampled_gets_neither_span_nor_exemplar() -> None:
    for sampler in (ALWAYS_OFF, ParentBased(ALWAYS_OFF)):
        with traced(sampler) as traces, instrumented(**EVERY_WAIT) as readings:
            with traces.tracer.start_as_current_span("GET /orders"):
                an_engine().connect().close()
            assert make_spans(readings, traces) == []
            [sample] = readings.samples(catalogue.WAIT_TIME)
            assert sample.value.exemplars == ()  # type: ignore[union-attr]


def test_a_wait_without_a_callers_span_has_no_span_of_its_own(traces: Traces) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        an_engine().connect().close()
        token = otel_context.attach(otel_context.set_value("tenant", "a"))  # a context, no span
        an_engine().connect().close()
        otel_context.detach(token)
        assert make_spans(readings, traces) == []


def test_without_a_tracer_provider_nothing_is_made_and_the_notes_are_taken(
    traces: Traces,
) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine()
        with traces.tracer.start_as_current_span("GET /orders"):
            engine.connect().close()
        with mock.patch.object(trace, "_TRACER_PROVIDER", None):
            take_notes(readings)
        [pool] = readings.instrumentation.registry.pools
        assert not pool.stats.slow.has_notes
        assert traces.waits == []
        assert readings.instrumentation.registry.hook_errors == 0


class BrokenProvider(TracerProvider):
    """A foreign provider that fails where `broken` says."""

    def __init__(self, broken: str) -> None:
        self._broken = broken

    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        if self._broken == "get_tracer":
            raise RuntimeError("no tracer")
        tracer = mock.Mock()
        failing = RuntimeError(self._broken)
        if self._broken == "start_span":
            tracer.start_span.side_effect = failing
        else:
            tracer.start_span.return_value.end.side_effect = failing
        return tracer


@pytest.mark.parametrize("broken", ["get_tracer", "start_span", "end"])
def test_the_errors_of_a_foreign_provider_are_counted_and_reach_nobody(
    traces: Traces, broken: str
) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine()
        with traces.tracer.start_as_current_span("GET /orders"):
            engine.connect().close()
        with mock.patch.object(trace, "_TRACER_PROVIDER", BrokenProvider(broken)):
            take_notes(readings)
        assert readings.instrumentation.registry.hook_errors == 1
        with traces.tracer.start_as_current_span("GET /orders"):
            engine.connect().close()
        assert len(make_spans(readings, traces)) == 1


def test_a_current_span_of_a_foreign_library_is_no_reason_to_fail(traces: Traces) -> None:
    broken = mock.Mock(spec=trace.Span)
    broken.get_span_context.side_effect = RuntimeError("not this time")
    with instrumented(**EVERY_WAIT) as readings:
        with trace.use_span(broken, end_on_exit=False):
            an_engine().connect().close()
        assert make_spans(readings, traces) == []
        assert readings.instrumentation.registry.hook_errors > 0


def test_notes_are_bounded_and_keep_no_context_once_they_are_taken(traces: Traces) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine()
        for _ in range(3 * slow_notes.NOTES_LIMIT):
            with traces.tracer.start_as_current_span("GET /orders"):
                engine.connect().close()
        [pool] = readings.instrumentation.registry.pools
        pool.stats.count()
        notes = pool.stats.slow
        kept = [len(each) for each in (notes.waits, notes.uses)]
        assert kept == [slow_notes.NOTES_LIMIT] * 2
        assert len(make_spans(readings, traces)) <= slow_notes.NOTES_LIMIT
        assert not notes.has_notes


def test_a_provider_that_is_slow_ends_the_spans_of_a_turn(traces: Traces) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine()
        for _ in range(3):
            with traces.tracer.start_as_current_span("GET /orders"):
                engine.connect().close()
        with mock.patch("poolscope.pushing.traces.traced_notes.SPANS_FOR_S", -1.0):
            assert len(make_spans(readings, traces)) == 1


def test_a_forked_child_makes_no_spans_of_its_parents_waits(traces: Traces) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        engine = an_engine()
        with traces.tracer.start_as_current_span("GET /orders"):
            engine.connect().close()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                before = len(traces.waits)
                take_notes(readings)
                inherited = len(traces.waits) - before
                with traces.tracer.start_as_current_span("GET /child"):
                    engine.connect().close()
                take_notes(readings)
                os.write(writing, f"{inherited} {len(traces.waits) - before}".encode())
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert os.read(reading, 100).decode().split() == ["0", "1"]
        os.close(reading)
        os.close(writing)
        assert len(make_spans(readings, traces)) == 1


async def wait_for_a_place(
    readings: Readings,
    traces: Traces,
    take: Callable[[], Awaitable[Any]],
    give_back: Callable[[Any], Awaitable[Any]],
) -> list[ReadableSpan]:
    """Take the only connection of a pool, let a second caller wait for it, and make its span."""
    first = await take()

    async def call() -> None:
        with traces.tracer.start_as_current_span("GET /orders"):
            await give_back(await take())

    waiting = asyncio.create_task(call())
    while not readings.value(catalogue.PENDING_REQUESTS):  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    await give_back(first)
    await waiting
    return make_spans(readings, traces)


async def test_an_asynchronous_engine(traces: Traces, postgres: EmbeddedPostgres) -> None:
    url = postgres.dsn.replace("postgresql://", "postgresql+asyncpg://")
    with instrumented(**EVERY_WAIT) as readings:
        engine = create_async_engine(
            url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
        )

        async def take() -> Any:
            return await engine.connect()

        async def give_back(connection: Any) -> None:
            await connection.close()

        spans = await wait_for_a_place(readings, traces, take, give_back)
        await engine.dispose()
    assert [attribute(span, catalogue.PHASE) for span in spans] == ["queue"]


@pytest.mark.parametrize("timeout_s", [None, 60.0])
async def test_a_pool_of_asyncpg(
    traces: Traces, postgres: EmbeddedPostgres, timeout_s: float | None
) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:

            async def take() -> Any:
                return await pool.acquire(timeout=timeout_s)

            spans = await wait_for_a_place(readings, traces, take, pool.release)
    assert [attribute(span, catalogue.PHASE) for span in spans] == ["queue"]
    assert [attribute(span, catalogue.OUTCOME) for span in spans] == ["acquired"]


async def test_a_time_out_of_asyncpg_is_no_cancellation(
    traces: Traces, postgres: EmbeddedPostgres
) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
            async with pool.acquire():
                with (
                    traces.tracer.start_as_current_span("GET /orders"),
                    pytest.raises(TimeoutError),
                ):
                    await pool.acquire(timeout=0.06)
            [span] = make_spans(readings, traces)
    assert attribute(span, catalogue.OUTCOME) == "timeout"
    assert attribute(span, catalogue.PHASE) == "queue"


async def test_an_asynchronous_pool_of_psycopg(traces: Traces, postgres: EmbeddedPostgres) -> None:
    with instrumented(**EVERY_WAIT) as readings:
        async with AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, open=False) as pool:
            await pool.wait()
            spans = await wait_for_a_place(readings, traces, pool.getconn, pool.putconn)
    assert [attribute(span, catalogue.PHASE) for span in spans] == ["queue"]


def test_a_synchronous_pool_of_psycopg(traces: Traces, postgres: EmbeddedPostgres) -> None:
    with (
        instrumented(**EVERY_WAIT) as readings,
        ConnectionPool(postgres.dsn, min_size=1, max_size=1, open=False) as pool,
    ):
        pool.wait()
        first = pool.getconn()

        def call() -> None:
            with traces.tracer.start_as_current_span("GET /orders"):
                pool.putconn(pool.getconn())

        waiting = threading.Thread(target=call)
        waiting.start()
        while not readings.value(catalogue.PENDING_REQUESTS):
            pass
        pool.putconn(first)
        waiting.join()
        spans = make_spans(readings, traces)
    assert [attribute(span, catalogue.PHASE) for span in spans] == ["queue"]

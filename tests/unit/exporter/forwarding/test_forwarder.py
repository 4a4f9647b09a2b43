"""The forwarder: what an upstream rejects is lost and counted, and the loop outlives everything."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from poolscope_exporter.forwarding.batch import ForwardAs
from poolscope_exporter.forwarding.forwarder import Forwarder
from poolscope_exporter.forwarding.queue import ForwardQueue
from poolscope_exporter.forwarding.upstream import Delivery, UpstreamAnswer
from support.exporter.otlp_messages import a_gauge, a_request

BODY = a_request(a_gauge("m", 1)).SerializeToString()


class Backend:
    """Takes what is posted, and answers each with the next of the given answers, then OK."""

    def __init__(self, *answers: Delivery, retry_after_s: float = 0.0) -> None:
        self.resources: list[int] = []
        self._answers = list(answers)
        self._retry_after_s = retry_after_s

    async def post(self, body: bytes) -> UpstreamAnswer:
        request = ExportMetricsServiceRequest.FromString(gzip.decompress(body))
        self.resources.append(len(request.resource_metrics))
        answer = self._answers.pop(0) if self._answers else Delivery.OK
        return UpstreamAnswer(answer, retry_after_s=self._retry_after_s)

    async def close_connections(self) -> None:
        self.resources.append(-1)


class Run:
    def __init__(self, backend: Backend, queue: ForwardQueue | None, forward_as: ForwardAs) -> None:
        self.forwarder = Forwarder(backend, forward_as, queue)
        self.stop, self.received = asyncio.Event(), asyncio.Event()

    def lost(self) -> dict[str, int]:
        return {
            reason: count for reason, count in self.forwarder.forward_report().lost.items() if count
        }

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not is_so():  # noqa: ASYNC110 - any condition, and nobody tells of it
                await asyncio.sleep(0)


@asynccontextmanager
async def running(
    backend: Backend, queue: ForwardQueue | None = None, forward_as: ForwardAs = ForwardAs.OTLP
) -> AsyncIterator[Run]:
    run = Run(backend, queue, forward_as)
    task = asyncio.create_task(run.forwarder.run(run.stop, run.received))
    yield run
    run.stop.set()
    run.received.set()
    await task


async def test_what_waits_leaves_in_one_request_and_nothing_is_left() -> None:
    backend = Backend()
    async with running(backend) as run:
        for _ in range(5):
            run.forwarder.enqueue(BODY, False)
        assert run.forwarder.forward_report().waiting_bytes == 5 * len(BODY)
        await run.until(lambda: run.forwarder.forward_report().waiting == 0)

    assert backend.resources == [5, -1]
    assert run.forwarder.forward_report().requests["ok"] == 1
    assert run.lost() == {}


async def test_what_is_rejected_is_lost_and_not_sent_again() -> None:
    backend = Backend(Delivery.REJECTED)
    async with running(backend) as run:
        run.forwarder.enqueue(BODY, False)
        run.forwarder.enqueue(BODY, False)
        await run.until(lambda: run.lost() == {"rejected": 2})
        run.forwarder.enqueue(BODY, False)
        await run.until(lambda: len(backend.resources) == 2)

    assert backend.resources == [2, 1, -1]
    assert run.lost() == {"rejected": 2}


async def test_what_cannot_be_read_is_lost_and_the_next_is_sent() -> None:
    backend = Backend()
    async with running(backend) as run:
        run.forwarder.enqueue(b"\xff", False)
        await run.until(lambda: run.lost() == {"error": 1})
        run.forwarder.enqueue(BODY, False)
        await run.until(lambda: backend.resources == [1])


async def test_what_arrived_before_the_receiver_ended_is_sent_as_well() -> None:
    backend = Backend()
    async with running(backend) as run:
        run.stop.set()
        await run.until(run.stop.is_set)
        run.forwarder.enqueue(BODY, False)

    assert backend.resources == [1, -1]


async def test_an_exporter_gets_nothing_that_waited_for_long() -> None:
    backend = Backend(Delivery.BUSY, Delivery.BUSY, Delivery.BUSY)
    async with running(backend, forward_as=ForwardAs.POOLSCOPE) as run:
        run.forwarder.enqueue(BODY, False)
        await run.until(lambda: run.lost() == {"too_old": 1})

    assert len(backend.resources) <= 3


@pytest.mark.parametrize(("retry_after_s", "is_lost"), [(110.0, False), (120.5, True)])
async def test_a_backend_gets_what_waited_for_up_to_two_minutes(
    retry_after_s: float, is_lost: bool
) -> None:
    """A pause beyond the two minutes is no use, so the request is given up before it."""
    backend = Backend(Delivery.BUSY, retry_after_s=retry_after_s)
    async with running(backend) as run:
        run.forwarder.enqueue(BODY, False)
        await run.until(lambda: backend.resources == [1])
        for _ in range(5):
            await asyncio.sleep(0)
        assert run.forwarder.forward_report().waiting == (not is_lost)
        assert run.lost() == ({"too_old": 1} if is_lost else {})

"""Forward received requests to an upstream, outside the receiver's path: bounded and counted."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from poolscope_exporter import clock
from poolscope_exporter.forwarding.batch import ForwardAs, pack
from poolscope_exporter.forwarding.queue import ForwardQueue, ForwardReport, Loss, QueuedRequest
from poolscope_exporter.forwarding.upstream import RETRYABLE, Delivery, UpstreamAnswer
from poolscope_exporter.polling.backoff import Backoff
from poolscope_exporter.polling.waiting import wait_for_any
from poolscope_exporter.threads.daemon_threads import DaemonThreads

DRAIN_S = 2.0
RETRY_FOR_S = 120.0
STALE_S = 0.5
"""After this time, a poolscope exporter could treat a checkout in the push as still held."""

MAX_BATCH_ITEMS = 100
MAX_BATCH_BYTES = 1024 * 1024
BACKOFF = Backoff(0.5, 30.0)

HURRIED_S = 0.1
"""The pause between two attempts while the process ends."""

_log = logging.getLogger("poolscope_exporter")


class Recipient(Protocol):
    """The recipient of packed requests; `post` never raises."""

    async def post(self, body: bytes) -> UpstreamAnswer:
        """Send one request."""

    async def close_connections(self) -> None:
        """Close the connections."""


class Forwarder:
    """The queue of requests, and the one worker that sends them."""

    def __init__(
        self, upstream: Recipient, forward_as: ForwardAs, queue: ForwardQueue | None = None
    ) -> None:
        self._upstream = upstream
        self._forward_as = forward_as
        self._queue = queue or ForwardQueue()
        self._threads = DaemonThreads("forwarding")
        self._requests = Counter({delivery.value: 0 for delivery in Delivery})
        self._in_flight: Sequence[QueuedRequest] = ()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._ending = asyncio.Event()
        self._logged: Delivery | None = None

    def enqueue(self, body: bytes, is_json: bool) -> None:
        """Add the body of a received request to the queue."""
        self._queue.put(QueuedRequest(body, is_json, clock.monotonic()))
        self._idle.clear()
        self._wake.set()

    def forward_report(self) -> ForwardReport:
        """Return the current counts."""
        return ForwardReport(
            requests=dict(self._requests),
            lost={reason.value: count for reason, count in self._queue.lost.items()},
            waiting=len(self._queue) + len(self._in_flight),
            waiting_bytes=self._queue.size + sum(len(each.body) for each in self._in_flight),
        )

    async def run(self, stop: asyncio.Event, received: asyncio.Event) -> None:
        """Forward until `stop`.

        Then send the rest, including requests from before `received` is set.
        """
        work = asyncio.create_task(self._work())
        await stop.wait()
        self._ending.set()
        try:
            async with asyncio.timeout(DRAIN_S):
                await received.wait()
                await self._idle.wait()
        except TimeoutError:
            self._give_up()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await self._upstream.close_connections()

    async def _work(self) -> None:
        while True:
            if not len(self._queue):
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            self._in_flight = self._next()
            try:
                await self._deliver(self._in_flight)
            except Exception:  # noqa: BLE001 - if the loop ended, all later pushes would be lost
                _log.exception("forwarding failed with an internal error; please report it")
                self._lose(Loss.ERROR)
            self._in_flight = ()

    def _next(self) -> Sequence[QueuedRequest]:
        if self._forward_as is ForwardAs.POOLSCOPE:
            self._queue.drop_before(clock.monotonic() - STALE_S)
        return self._queue.take_batch(MAX_BATCH_ITEMS, MAX_BATCH_BYTES)

    async def _deliver(self, requests: Sequence[QueuedRequest]) -> None:
        body = await self._threads.run(pack, requests, self._forward_as) if requests else None
        if body is not None and (loss := await self._post(body, self._useful_until_s(requests))):
            self._lose(loss)

    async def _post(self, body: bytes, useful_until_s: float) -> Loss | None:
        """Send until it is accepted; return why it was lost, if it was."""
        for attempt in itertools.count(1):
            answer = await self._upstream.post(body)
            self._note(answer)
            if answer.delivery not in RETRYABLE:
                break
            wait_s = max(answer.retry_after_s, BACKOFF.pause_s(attempt))
            if clock.monotonic() + wait_s > useful_until_s:
                return Loss.TOO_OLD
            await self._wait(wait_s)
        return Loss.REJECTED if answer.delivery is Delivery.REJECTED else None

    async def _wait(self, wait_s: float) -> None:
        """Wait for the next attempt; only briefly while the process ends."""
        await wait_for_any(wait_s, self._ending)
        if self._ending.is_set():
            await asyncio.sleep(min(wait_s, HURRIED_S))

    def _useful_until_s(self, requests: Sequence[QueuedRequest]) -> float:
        """Return the time until which another attempt for the oldest request is useful."""
        keep_s = STALE_S if self._forward_as is ForwardAs.POOLSCOPE else RETRY_FOR_S
        return requests[0].arrived_at_s + keep_s

    def _note(self, answer: UpstreamAnswer) -> None:
        self._requests[answer.delivery.value] += 1
        if answer.delivery is not self._logged:
            is_good = answer.delivery is Delivery.OK
            level = logging.INFO if is_good else logging.WARNING
            _log.log(level, "forwarding: %s %s", answer.delivery, answer.detail)
            self._logged = answer.delivery

    def _lose(self, reason: Loss) -> None:
        self._queue.lost[reason] += len(self._in_flight)

    def _give_up(self) -> None:
        left = len(self._queue) + len(self._in_flight)
        self._queue.lost[Loss.SHUTDOWN] += left
        if left:
            _log.warning("shutdown: dropped %d pushes not forwarded within %g s", left, DRAIN_S)

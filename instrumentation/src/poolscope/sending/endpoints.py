"""Send a push to each endpoint; an endpoint that does not answer does not delay the others."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from poolscope.background import BackgroundThread
from poolscope.clock import monotonic
from poolscope.sending.transport import TIMEOUT_S, PushAnswer, PushError, Transport

_MARGIN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class PushDelivery:
    """The result of one push at one endpoint: its answer, or the error."""

    endpoint: str
    answer: PushAnswer | None
    error: Exception | None = None


class PushEndpoints:
    """The endpoints of a process; with several of them, each gets a thread when needed."""

    def __init__(self, transports: Iterable[Transport]) -> None:
        self._endpoints = [_PushEndpoint(transport) for transport in transports]

    def send_push(self, body: bytes, read_token: Callable[[], str | None]) -> list[PushDelivery]:
        """Send the push to all endpoints, and return the result of each.

        An endpoint that is still busy with an earlier push gets none, which is an error.
        """
        try:
            token = read_token()
        except (OSError, ValueError) as error:
            return [PushDelivery(each.endpoint, None, error) for each in self._endpoints]
        if len(self._endpoints) == 1:
            return [self._endpoints[0].deliver_push(body, token)]
        begun = [(each, each.begin_push(body, token)) for each in self._endpoints]
        until_s = monotonic() + TIMEOUT_S + _MARGIN_S
        return [each.await_delivery(until_s) if begins else each.late() for each, begins in begun]

    def stop(self) -> None:
        """End the threads, each after its current push."""
        for each in self._endpoints:
            each.end_thread()


class _PushEndpoint:
    def __init__(self, transport: Transport) -> None:
        self.endpoint = transport.endpoint
        self._transport = transport
        self._thread = BackgroundThread("poolscope-sender", self._run)
        self._changed = threading.Condition()
        self._job: tuple[bytes, str | None] | None = None
        self._delivery: PushDelivery | None = None
        self._is_ended = False

    def deliver_push(self, body: bytes, token: str | None) -> PushDelivery:
        """Send in the caller's thread."""
        try:
            return PushDelivery(self.endpoint, self._transport.send_body(body, token))
        except (PushError, OSError) as error:
            return PushDelivery(self.endpoint, None, error)

    def begin_push(self, body: bytes, token: str | None) -> bool:
        """Begin to send in the thread, unless it is busy; return whether it begins."""
        try:
            self._thread.start()
        except RuntimeError:  # the system has no room for another thread
            return False
        with self._changed:
            if self._job is not None or self._is_ended:
                return False
            self._job, self._delivery = (body, token), None
            self._changed.notify_all()
        return True

    def await_delivery(self, until_s: float) -> PushDelivery:
        """Return the result of the push when it is known, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._delivery, max(0.0, until_s - monotonic()))
            return self._delivery or self.late()

    def late(self) -> PushDelivery:
        """Return the error that the push has no answer, because an earlier one keeps the thread."""
        error = PushError(f"{self.endpoint}: an earlier push is still running")
        return PushDelivery(self.endpoint, None, error)

    def end_thread(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._job or self._is_ended)
                if self._job is None:
                    return
                body, token = self._job
            try:
                delivery = self.deliver_push(body, token)
            except Exception as error:  # noqa: BLE001 - else the thread ends, and the endpoint fails
                delivery = PushDelivery(self.endpoint, None, error)
            with self._changed:
                self._job, self._delivery = None, delivery
                self._changed.notify_all()

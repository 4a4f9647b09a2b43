"""Poll one PgBouncer for ever: on its own clock, and at once when a server is about to be asked."""

import asyncio
import logging
from typing import Protocol

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.pgbouncer_headroom import bouncer_headroom
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import BouncerView
from poolscope_exporter.core.model.pgbouncers import BouncerSample, ClientState
from poolscope_exporter.pgbouncer.console import BouncerFacts
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.record import PollRecord, PollReport, wait_for_any

REFRESH_S = 0.5
"""How long a server's poll waits for a bouncer at most: a bouncer that hangs blinds nobody else."""

FACTS_S = 60.0
"""Time between two readings of the settings."""

_log = logging.getLogger("poolscope_exporter")


class Console(Protocol):
    """What a poller asks of a bouncer; every failure is a ServerUnavailableError."""

    name: str

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection is open."""

    async def connect(self) -> None:
        """Open the connection anew."""

    async def facts(self) -> BouncerFacts:
        """Return the version and the time-outs."""

    async def read_sockets(self) -> BouncerSample:
        """Return all clients and server connections."""

    async def close(self) -> None:
        """Close the connection."""


class BouncerPoller:
    """The loop around one bouncer, and what it last learned."""

    def __init__(self, console: Console, correlator: Correlator, interval_s: float) -> None:
        self._console = console
        self._correlator = correlator
        self._interval_s = interval_s
        self._record = PollRecord(console.name)
        self._wake = asyncio.Event()
        self._polled = asyncio.Event()
        self._facts: BouncerFacts | None = None
        self._sample: BouncerSample | None = None
        self._facts_due_s = float("-inf")
        self._trouble: str | None = "not polled yet"
        self._told: Reason | None = None

    def wake(self) -> None:
        """Ask for a poll at once."""
        self._wake.set()

    async def refresh(self) -> None:
        """Poll now where somebody's checkout goes through the bouncer; wait a moment for it.

        A bouncer that failed is not waited for: its own loop finds out when it is back.
        """
        is_failing = self._record.failures_in_a_row > 0
        if is_failing or not self._correlator.has_checkouts_through(
            self._console.name, clock.monotonic()
        ):
            return
        self._polled.clear()
        self._wake.set()
        await wait_for_any(REFRESH_S, self._polled)

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set; nothing else ends this."""
        while not stop.is_set():
            await self.poll_bouncer()
            if self._trouble is not None:
                await wait_for_any(self._record.backoff_s(self._interval_s), stop)
            else:
                await wait_for_any(self._interval_s, stop, self._wake)
        await self._console.close()

    async def poll_bouncer(self) -> None:
        """Poll once; a failure is counted, told once, and shown by `view`."""
        self._wake.clear()
        started_at_s = clock.monotonic()
        try:
            await self._ask(started_at_s)
        except ServerUnavailableError as exc:
            self._failed(exc.reason, str(exc))
        except Exception:  # noqa: BLE001 - a loop that ends would leave the exporter blind for ever
            _log.exception("poll of PgBouncer %s failed by an error of ours", self._console.name)
            self._failed(Reason.OTHER, "internal error, see the log")
        else:
            self._succeeded(started_at_s)
        self._polled.set()

    def bouncer_view(self, now_s: float) -> BouncerView:
        """Return what is known of the bouncer now; numbers of one that is down are not."""
        is_up = self._trouble is None
        sample = self._sample if is_up else None
        counts = sample.counts if sample else None
        limits = self._facts.limits if self._facts and is_up else None
        return BouncerView(
            bouncer=self._console.name,
            up=is_up,
            reason=self._trouble,
            version=self._facts.version if self._facts else None,
            clients=None if counts is None else {state.value: n for state, n in counts.items()},
            timeouts_s=self._facts.timeouts_s if self._facts else None,
            is_one_of_several=self._facts.shares_its_port if self._facts else False,
            last_success_age_s=self._record.last_success_age_s(now_s),
            headroom=bouncer_headroom(limits, sample) if limits and sample else None,
            paused=limits.paused if limits else frozenset(),
        )

    def poll_report(self, now_s: float, wall_s: float) -> PollReport:
        """Return how the polls go."""
        return self._record.report(now_s, wall_s)

    async def _ask(self, now_s: float) -> None:
        if not self._console.is_connected:
            # The next one to answer under this address may be another process.
            self._correlator.bouncer_down(self._console.name)
            await self._console.connect()
            self._facts_due_s = now_s
        # Who waits may do so because the bouncer is paused: that is not left to the next minute.
        if now_s >= self._facts_due_s or self._has_waiting():
            self._facts = await self._console.facts()
            self._facts_due_s = now_s + FACTS_S
        self._sample = await self._console.read_sockets()
        self._correlator.take_bouncer_sample(self._sample, clock.monotonic())

    def _has_waiting(self) -> bool:
        return bool(self._sample and self._sample.counts.get(ClientState.WAITING))

    def _succeeded(self, started_at_s: float) -> None:
        self._record.succeeded(started_at_s, clock.monotonic())
        if self._trouble is not None:
            self._trouble = self._told = None
            version = self._facts.version if self._facts else "an unknown version"
            _log.info("PgBouncer %s answers: %s", self._console.name, version)

    def _failed(self, reason: Reason, message: str) -> None:
        self._record.poll_failed(reason)
        self._correlator.bouncer_down(self._console.name)
        self._trouble = f"{reason}: {message}"
        if self._told is not reason:
            _log.warning("PgBouncer %s does not answer: %s", self._console.name, self._trouble)
            self._told = reason

"""Decide what each poll of a PgBouncer asks, and poll it when a server is about to be asked."""

import logging
from typing import Protocol

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.pgbouncer_headroom import bouncer_headroom
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import BouncerView
from poolscope_exporter.core.model.pgbouncers import BouncerSample, ClientState
from poolscope_exporter.pgbouncer.console import BouncerFacts
from poolscope_exporter.polling.connection import Peer
from poolscope_exporter.polling.loop import Pace, PollLoop
from poolscope_exporter.polling.record import PollRecord, PollReport

REFRESH_S = 0.5
"""How long a server's poll waits for a bouncer at most: a bouncer that hangs blinds nobody else."""

FACTS_S = 60.0
"""Time between two readings of the settings."""

_log = logging.getLogger("poolscope_exporter")


class Console(Peer, Protocol):
    """What a poller asks of a bouncer; every failure is a ServerUnavailableError."""

    async def facts(self) -> BouncerFacts:
        """Return the version and the time-outs."""

    async def read_sockets(self) -> BouncerSample:
        """Return all clients and server connections."""


class BouncerPoller:
    """One bouncer as its `loop` polls it, and what it last answered."""

    def __init__(self, console: Console, correlator: Correlator, interval_s: float) -> None:
        self._console = console
        self._correlator = correlator
        self._record = PollRecord(console.name)
        self.loop = PollLoop(self, console, self._record, Pace(interval_s))
        self._facts: BouncerFacts | None = None
        self._sample: BouncerSample | None = None
        self._facts_due_s = float("-inf")

    @property
    def log_name(self) -> str:
        """Return the bouncer's name for log lines."""
        return f"PgBouncer {self._console.name}"

    async def refresh(self) -> None:
        """Poll now where somebody's checkout goes through the bouncer; wait a moment for it.

        A bouncer that failed is not waited for: its own loop finds out when it is back.
        """
        is_failing = self._record.failures_in_a_row > 0
        if is_failing or not self._correlator.has_checkouts_through(
            self._console.name, clock.monotonic()
        ):
            return
        await self.loop.wake_and_wait(REFRESH_S)

    def bouncer_view(self, now_s: float) -> BouncerView:
        """Return what is known of the bouncer now; numbers of one that is down are not."""
        is_up = self._record.trouble is None
        sample = self._sample if is_up else None
        counts = sample.counts if sample else None
        limits = self._facts.limits if self._facts and is_up else None
        return BouncerView(
            bouncer=self._console.name,
            up=is_up,
            reason=self._record.trouble,
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

    async def poll(self, now_s: float) -> None:
        """Ask the bouncer what is due; raises ServerUnavailableError."""
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

    def on_failure(self) -> None:
        """Link no checkout through a bouncer that fails."""
        self._correlator.bouncer_down(self._console.name)

    def log_answer(self) -> None:
        """Log which PgBouncer answers."""
        version = self._facts.version if self._facts else "an unknown version"
        _log.info("PgBouncer %s answers: %s", self._console.name, version)

    def log_failure(self, trouble: str) -> None:
        """Log why the bouncer does not answer."""
        _log.warning("PgBouncer %s does not answer: %s", self._console.name, trouble)

    def _has_waiting(self) -> bool:
        return bool(self._sample and self._sample.counts.get(ClientState.WAITING))

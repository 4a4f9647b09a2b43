"""Decide which queries each poll of a PgBouncer sends, and poll it before a server is polled."""

import logging
from typing import Protocol

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.pgbouncer_headroom import bouncer_headroom
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import BouncerView
from poolscope_exporter.core.model.bouncer_traffic import BouncerTraffic
from poolscope_exporter.core.model.pgbouncers import BouncerSample, ClientState
from poolscope_exporter.pgbouncer.console import BouncerFacts
from poolscope_exporter.polling.connection import Peer
from poolscope_exporter.polling.loop import Pace, PollLoop
from poolscope_exporter.polling.record import PollRecord, PollReport

REFRESH_S = 0.5
"""The time for which a server's poll waits for a PgBouncer.

A PgBouncer that hangs must not delay it longer.
"""

FACTS_S = 60.0
"""The time between two readings of the settings."""

_log = logging.getLogger("poolscope_exporter")


class Console(Peer, Protocol):
    """The queries that a poller sends to a PgBouncer; every failure is a ServerUnavailableError."""

    async def facts(self) -> BouncerFacts:
        """Return the version and the time-outs."""

    async def read_sockets(self) -> BouncerSample:
        """Return all clients and server connections."""

    async def read_traffic(self) -> BouncerTraffic:
        """Return the use of each pool, and the totals of each database."""


class BouncerPoller:
    """One PgBouncer as its `loop` polls it, and its last answers."""

    def __init__(self, console: Console, correlator: Correlator, interval_s: float) -> None:
        self._console = console
        self._correlator = correlator
        self._record = PollRecord(console.name)
        self.loop = PollLoop(self, console, self._record, Pace(interval_s))
        self._facts: BouncerFacts | None = None
        self._sample: BouncerSample | None = None
        self._traffic: BouncerTraffic | None = None
        self._facts_due_s = float("-inf")

    @property
    def log_name(self) -> str:
        """Return the PgBouncer's name for log lines."""
        return f"PgBouncer {self._console.name}"

    async def refresh(self) -> None:
        """Poll now if a checkout goes through this PgBouncer; wait a moment for the result.

        A PgBouncer that failed is not waited for: its own loop detects when it is back.
        """
        is_failing = self._record.failures_in_a_row > 0
        if is_failing or not self._correlator.has_checkouts_through(
            self._console.name, clock.monotonic()
        ):
            return
        await self.loop.wake_and_wait(REFRESH_S)

    def bouncer_view(self, now_s: float) -> BouncerView:
        """Return the PgBouncer's current data; while it is down, it has no numbers."""
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
            pooling=self._facts.pooling if self._facts and is_up else None,
            traffic=self._traffic if is_up else None,
        )

    def poll_report(self, now_s: float, wall_s: float) -> PollReport:
        """Return the report of the polls."""
        return self._record.report(now_s, wall_s)

    async def poll(self, now_s: float) -> None:
        """Send every query that is due; raise ServerUnavailableError on failure."""
        await self._console.connect()
        # Clients may wait because PgBouncer is paused, so its settings are read at once.
        if now_s >= self._facts_due_s or self._has_waiting():
            self._facts = await self._console.facts()
            self._facts_due_s = now_s + FACTS_S
        self._sample = await self._console.read_sockets()
        self._correlator.take_bouncer_sample(self._sample, clock.monotonic())
        self._traffic = await self._console.read_traffic()

    def on_failure(self) -> None:
        """Stop linking checkouts through this PgBouncer; another process may answer next."""
        self._correlator.bouncer_down(self._console.name)
        self._facts_due_s = float("-inf")

    def log_answer(self) -> None:
        """Log which PgBouncer answers."""
        version = self._facts.version if self._facts else "an unknown version"
        _log.info("PgBouncer %s answers: %s", self._console.name, version)

    def log_failure(self, trouble: str) -> None:
        """Log why the PgBouncer does not answer."""
        _log.warning("PgBouncer %s does not answer: %s", self._console.name, trouble)

    def _has_waiting(self) -> bool:
        return bool(self._sample and self._sample.counts.get(ClientState.WAITING))

"""Decide what each poll of a server asks, and show what its answers say."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import replace
from typing import Protocol

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.headroom import Headroom, headroom
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.model.servers import (
    Change,
    ConfiguredServer,
    Privilege,
    ServerLimits,
    ServerRole,
    is_expected,
    role_of,
)
from poolscope_exporter.core.model.sessions import Census, SessionSample
from poolscope_exporter.polling.connection import Peer
from poolscope_exporter.polling.errors import FULL, Reason, ServerUnavailableError
from poolscope_exporter.polling.loop import Pace, PollLoop
from poolscope_exporter.polling.record import PollRecord, PollReport
from poolscope_exporter.polling.tiers import Answer, Tier, TierRecord
from poolscope_exporter.postgres.rows import Survey
from poolscope_exporter.postgres.server import Arrival

FRESH_SUSPECTS_S = 0.25
"""Shortest time between two polls, however many fresh suspects there are."""

SURVEY_S = 5.0
"""Time between two counts of all sessions, which cost several times a look at the suspects."""

CENSUS_S = 15.0
"""Time between two looks for orphans, which read a row for each session of the applications."""

FACTS_S = 60.0
"""Time between two readings of what hardly changes: identity, privileges, limits, names."""

FACTS_RETRY_S = 5.0
FACTS_STALE_S = 300.0
"""How long limits are believed that cannot be read again, because somebody locks a catalogue."""

_log = logging.getLogger("poolscope_exporter")


class Server(Peer, Protocol):
    """What a poller asks of a server; every failure is a ServerUnavailableError."""

    async def identify(self) -> Arrival:
        """Return who the server is."""

    async def in_recovery(self) -> bool:
        """Return whether the server is a replica now."""

    async def read_limits(self) -> ServerLimits | None:
        """Return the server's limits, None where unknown."""

    async def look_up(self, pids: Sequence[int]) -> SessionSample:
        """Return the sessions behind the pids."""

    async def census(self, addresses: Collection[str]) -> Census | None:
        """Return the sessions from these addresses, None where unknown."""

    async def survey(self) -> Survey:
        """Return how many sessions there are, in detail."""


class Refreshable(Protocol):
    """What must be asked before a server is: it says which sessions to ask the server for."""

    async def refresh(self) -> None:
        """Ask it now, for a moment at most; never raises."""


class Poller:
    """One server as its `loop` polls it, and what it last answered.

    `bouncers` are asked first at each poll, so that both answers are of one moment.
    """

    def __init__(
        self,
        server: Server,
        correlator: Correlator,
        interval_s: float,
        bouncers: Sequence[Refreshable] = (),
        *,
        configured: ConfiguredServer | None = None,
        counts_orphans: bool = True,
    ) -> None:
        self._server = server
        self._correlator = correlator
        self._bouncers = bouncers
        self._configured = configured or ConfiguredServer(server.name)
        self._counts_orphans = counts_orphans
        self._record = PollRecord(server.name)
        self._tiers = TierRecord()
        self.loop = PollLoop(self, server, self._record, Pace(interval_s, FRESH_SUSPECTS_S))
        self._arrival: Arrival | None = None
        self._limits: ServerLimits | None = None
        self._survey: Survey | None = None
        self._sample: SessionSample | None = None
        self._facts_due_s = self._survey_due_s = self._census_due_s = float("-inf")
        self._place: ServerRole | None = None
        self._facts_at_s: float | None = None
        self._changes = dict.fromkeys(Change, 0)

    @property
    def log_name(self) -> str:
        """Return the server's name for log lines."""
        return self._server.name

    def server_view(self, now_s: float) -> ServerView:
        """Return what is known of the server now; counts of a server that is down are not."""
        is_up = self._record.trouble is None
        return ServerView(
            server=self._server.name,
            up=is_up,
            reason=self._record.trouble,
            identity=self._arrival.identity if self._arrival else None,
            limits=self._limits if is_up else None,
            connections=self._survey.by_state or None if self._survey and is_up else None,
            headroom=self._headroom() if is_up else None,
            last_success_age_s=self._record.last_success_age_s(now_s),
            sample=self._sample,
            active_on_cpu=self._survey.active_on_cpu if self._survey and is_up else None,
            place=self._place,
            is_full=self._record.reason in FULL,
        )

    def poll_report(self, now_s: float, wall_s: float) -> PollReport:
        """Return how the polls go."""
        return replace(
            self._record.report(now_s, wall_s),
            tiers=self._tiers.tier_report(),
            connections=int(self._server.is_connected),
            changes={change.value: count for change, count in self._changes.items()},
        )

    async def poll(self, now_s: float) -> None:
        """Ask the server what is due, the bouncers first; raises ServerUnavailableError."""
        if not self._server.is_connected:
            await self._arrive(now_s)
        elif await self._was_promoted() or self._facts_at_s is None or now_s >= self._facts_due_s:
            await self._ask_facts(now_s)
        assert self._arrival is not None
        await asyncio.gather(*(bouncer.refresh() for bouncer in self._bouncers))
        pids = self._correlator.suspects(clock.monotonic()).get(self._server.name, [])
        self._sample = await self._tiers.ask(Tier.SUSPECTS, self._server.look_up(pids))
        self._correlator.take_sample(self._sample, self._arrival.identity, clock.monotonic())
        if now_s >= self._survey_due_s:
            self._survey_due_s = now_s + SURVEY_S
            self._survey = await self._optional(Tier.SURVEY, self._server.survey())
        if self._counts_orphans and now_s >= self._census_due_s:
            await self._count()
            self._census_due_s = now_s + CENSUS_S

    def on_failure(self) -> None:
        """Judge no checkout by a server that fails; its role is known only where it answered."""
        self._correlator.server_down(self._server.name)
        if self._record.reason is not Reason.WRONG_ROLE:
            self._place = None

    def log_failure(self, trouble: str) -> None:
        """Log why the server does not answer."""
        _log.warning("server %s does not answer: %s", self._server.name, trouble)

    def log_answer(self) -> None:
        """Log which server answers, and what its role may not see."""
        assert self._arrival is not None
        identity = self._arrival.identity
        _log.info(
            "server %s answers: PostgreSQL %s, role %s, privilege %s",
            identity.server,
            self._arrival.version,
            identity.role,
            identity.privilege,
        )
        if identity.privilege is not Privilege.FULL:
            _log.warning(
                "role %s sees the sessions of other roles only in part:"
                " GRANT pg_read_all_stats TO %s",
                identity.role,
                identity.role,
            )

    async def _count(self) -> None:
        """Count the orphans, where any process was ever linked: of others nothing is known."""
        addresses = self._correlator.orphans.client_addresses(self._server.name)
        census = None
        if addresses:
            census = await self._tiers.ask(Tier.CENSUS, self._server.census(addresses))
        if census is None:
            self._correlator.orphans.discard_census(self._server.name)
        else:
            self._correlator.take_census(census, clock.monotonic())

    async def _arrive(self, now_s: float) -> None:
        """Connect, and learn who answers before anything else is believed."""
        self._survey_due_s = now_s
        self._limits = self._survey = self._sample = self._facts_at_s = None
        await self._tiers.ask(Tier.CONNECT, self._server.connect())
        await self._ask_facts(now_s)

    async def _was_promoted(self) -> bool:
        """Tell whether the server changed its role under us; also the sign of life of each poll."""
        is_replica = await self._tiers.ask(Tier.PULSE, self._server.in_recovery())
        return self._arrival is None or is_replica != self._arrival.identity.in_recovery

    async def _ask_facts(self, now_s: float) -> None:
        """Read what hardly changes; where a lock is in the way, what was read before still holds.

        On a new connection there is nothing that does, and no answer is a failure.
        """
        self._facts_due_s = now_s + FACTS_RETRY_S
        try:
            await self._accept(await self._tiers.ask(Tier.FACTS, self._server.identify()))
            limits = await self._tiers.ask(Tier.FACTS, self._server.read_limits())
            self._limits = limits and replace(limits, managed=self._configured.reserved_slots)
        except ServerUnavailableError:
            if self._facts_at_s is None or not self._server.is_connected:
                raise
            if now_s >= self._facts_at_s + FACTS_STALE_S:
                self._limits = None
        else:
            self._facts_at_s, self._facts_due_s = now_s, now_s + FACTS_S

    async def _accept(self, arrival: Arrival) -> None:
        """Take in who answers; raises where it is not what the target expects."""
        self._place = role_of(arrival.identity)
        if not is_expected(arrival.identity, self._configured.expects):
            # Another one may be the right one at the next look-up of the name.
            await self._server.close()
            raise ServerUnavailableError(
                Reason.WRONG_ROLE,
                f"a {self._place} answers where a {self._configured.expects} is expected",
            )
        self._arrival = arrival
        if change := self._correlator.server_up(arrival.identity):
            self._changes[change] += 1
            self._sample = None
            _log.warning("server %s was %s: what it said before is void", self._server.name, change)

    async def _optional(self, tier: Tier, question: Awaitable[Answer]) -> Answer | None:
        """Return the answer, or None where this one is refused and the server stays with us."""
        try:
            return await self._tiers.ask(tier, question)
        except ServerUnavailableError:
            if not self._server.is_connected:
                raise
            return None

    def _headroom(self) -> Headroom | None:
        if self._limits is None or self._survey is None:
            return None
        return headroom(
            self._limits,
            self._survey.total,
            self._survey.by_role,
            self._survey.by_database,
            own_role=self._arrival.identity.role if self._arrival else None,
        )

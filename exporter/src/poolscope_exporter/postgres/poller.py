"""Decide which queries each poll of a server sends, and publish the answers."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import replace
from typing import Protocol

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.headroom import Headroom, headroom
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.model.lock_waits import LockWaits
from poolscope_exporter.core.model.servers import (
    Change,
    ConfiguredServer,
    Privilege,
    ServerLimits,
    ServerRole,
    is_expected,
    role_of,
)
from poolscope_exporter.core.model.session_groups import (
    OwnerSessions,
    SessionGroups,
    largest_groups,
    largest_owners,
)
from poolscope_exporter.core.model.sessions import Census, SessionSample
from poolscope_exporter.polling.connection import Peer
from poolscope_exporter.polling.errors import FULL, Reason, ServerUnavailableError
from poolscope_exporter.polling.loop import Pace, PollLoop
from poolscope_exporter.polling.record import PollRecord, PollReport
from poolscope_exporter.polling.tiers import Answer, Tier, TierRecord
from poolscope_exporter.postgres.rows import GroupsAnswer, Survey
from poolscope_exporter.postgres.server import Arrival

FRESH_SUSPECTS_S = 0.25
"""The shortest time between two polls, however many fresh suspects there are."""

SURVEY_S = 5.0
"""The time between two counts of all sessions; a count costs several polls of the suspects."""

CENSUS_S = 15.0
"""The time between two searches for orphans, which read one row per session of an application.

The sessions are grouped by program and client as often.
"""

FACTS_S = 60.0
"""The time between two readings of rarely changing data: identity, privileges, limits, names."""

FACTS_RETRY_S = 5.0
FACTS_STALE_S = 300.0
"""The time for which limits stay in use that cannot be read again, for example due to a lock."""

_log = logging.getLogger("poolscope_exporter")


class Server(Peer, Protocol):
    """The queries that a poller sends to a server; every failure is a ServerUnavailableError."""

    async def identify(self) -> Arrival:
        """Return the server's identity."""

    async def in_recovery(self) -> bool:
        """Return whether the server is a replica now."""

    async def read_limits(self) -> ServerLimits | None:
        """Return the server's limits, or None if unknown."""

    async def look_up(self, pids: Sequence[int]) -> SessionSample:
        """Return the sessions with these backend PIDs."""

    async def lock_waits(self) -> LockWaits:
        """Return the sessions that wait for a lock, and those at the roots of their queues."""

    async def census(self, addresses: Collection[str]) -> Census | None:
        """Return the sessions from these addresses, or None if unknown."""

    async def survey(self) -> Survey:
        """Return the number of sessions, by state, role and database."""

    async def session_groups(self) -> GroupsAnswer:
        """Return the largest groups of sessions by role, database, program and client."""


class Refreshable(Protocol):
    """A source that must be read before a server is, because it decides which sessions to query."""

    async def refresh(self) -> None:
        """Read it now, for at most a moment; never raises."""


class Poller:
    """One server as its `loop` polls it, and its last answers.

    The `bouncers` are read first at each poll, so that both answers are from one moment. Only with
    `counts_orphans`, the sessions of the whole server are listed and grouped.
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
        self._groups: GroupsAnswer | None = None
        self._surveyed_at_s: float | None = None
        self._sample: SessionSample | None = None
        self._lock_waits: LockWaits | None = None
        self._facts_due_s = self._survey_due_s = self._census_due_s = float("-inf")
        self._place: ServerRole | None = None
        self._facts_at_s: float | None = None
        self._changes = dict.fromkeys(Change, 0)

    @property
    def log_name(self) -> str:
        """Return the server's name for log lines."""
        return self._server.name

    def server_view(self, now_s: float) -> ServerView:
        """Return the server's current data; a server that is down has no counts."""
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
            lock_waits=self._lock_waits if is_up else None,
            active_on_cpu=self._survey.active_on_cpu if self._survey and is_up else None,
            surveyed_at_s=self._surveyed_at_s,
            place=self._place,
            is_full=self._record.reason in FULL,
            owners=self._owners() if is_up else None,
            session_groups=self._largest_groups() if is_up else None,
        )

    def poll_report(self, now_s: float, wall_s: float) -> PollReport:
        """Return the report of the polls."""
        return replace(
            self._record.report(now_s, wall_s),
            tiers=self._tiers.tier_report(),
            connections=int(self._server.is_connected),
            changes={change.value: count for change, count in self._changes.items()},
        )

    async def poll(self, now_s: float) -> None:
        """Send every query that is due, first to the PgBouncers.

        Raise ServerUnavailableError on failure.
        """
        if not self._server.is_connected:
            await self._arrive(now_s)
        elif await self._was_promoted() or self._facts_at_s is None or now_s >= self._facts_due_s:
            await self._ask_facts(now_s)
        assert self._arrival is not None
        await asyncio.gather(*(bouncer.refresh() for bouncer in self._bouncers))
        pids = self._correlator.suspects(self._server.name, clock.monotonic())
        self._sample = await self._tiers.ask(Tier.SUSPECTS, self._server.look_up(pids))
        self._correlator.take_sample(self._sample, self._arrival.identity, clock.monotonic())
        self._lock_waits = await self._ask_lock_waits(self._sample)
        if now_s >= self._survey_due_s:
            self._survey_due_s = now_s + SURVEY_S
            self._surveyed_at_s = clock.monotonic()
            self._survey = await self._optional(Tier.SURVEY, self._server.survey())
        if self._counts_orphans and now_s >= self._census_due_s:
            await self._count()
            self._groups = await self._optional(Tier.GROUPS, self._server.session_groups())
            self._census_due_s = now_s + CENSUS_S

    def on_failure(self) -> None:
        """Stop using this server's samples; its role stays known only if the server answered."""
        self._correlator.server_down(self._server.name)
        if self._record.reason is not Reason.WRONG_ROLE:
            self._place = None

    def log_failure(self, trouble: str) -> None:
        """Log why the server does not answer."""
        _log.warning("server %s does not answer: %s", self._server.name, trouble)

    def log_answer(self) -> None:
        """Log which server answers, and which sessions the exporter's role cannot read."""
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
        """Count the orphans if any process was ever linked.

        Without a link, none can be recognised.
        """
        addresses = self._correlator.orphans.client_addresses(self._server.name)
        census = None
        if addresses:
            census = await self._tiers.ask(Tier.CENSUS, self._server.census(addresses))
        if census is None:
            self._correlator.orphans.discard_census(self._server.name)
        else:
            self._correlator.take_census(census, clock.monotonic())

    async def _ask_lock_waits(self, sample: SessionSample) -> LockWaits | None:
        """Return the lock waits; query them only if a held checkout or the last survey has one."""
        waits = any(each.wait_event_type == "Lock" for each in sample.sessions.values())
        if not waits and not (self._survey and self._survey.lock_waiters):
            return None
        return await self._optional(Tier.LOCKS, self._server.lock_waits())

    async def _arrive(self, now_s: float) -> None:
        """Connect, and read the server's identity before any other answer is used."""
        self._survey_due_s = now_s
        self._limits = self._survey = self._groups = self._sample = self._facts_at_s = None
        self._lock_waits = None
        await self._tiers.ask(Tier.CONNECT, self._server.connect())
        await self._ask_facts(now_s)

    async def _was_promoted(self) -> bool:
        """Return whether the server changed between replica and primary.

        Also each poll's liveness check.
        """
        is_replica = await self._tiers.ask(Tier.PULSE, self._server.in_recovery())
        return self._arrival is None or is_replica != self._arrival.identity.in_recovery

    async def _ask_facts(self, now_s: float) -> None:
        """Read data that rarely changes; if a lock prevents this, the earlier data stays valid.

        On a new connection there is no earlier data, so a missing answer is a failure.
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
        """Store the server's identity; raise if its role is not the expected one."""
        self._place = role_of(arrival.identity)
        if not is_expected(arrival.identity, self._configured.expects):
            # At the next connect, the name may resolve to another server with the expected role.
            await self._server.close()
            raise ServerUnavailableError(
                Reason.WRONG_ROLE,
                f"a {self._place} answers where a {self._configured.expects} is expected",
            )
        self._arrival = arrival
        if change := self._correlator.server_up(arrival.identity):
            self._changes[change] += 1
            self._sample = None
            _log.warning("server %s was %s; discarding earlier samples", self._server.name, change)

    async def _optional(self, tier: Tier, question: Awaitable[Answer]) -> Answer | None:
        """Return the answer, or None if this query is refused and the connection stays open."""
        try:
            return await self._tiers.ask(tier, question)
        except ServerUnavailableError:
            if not self._server.is_connected:
                raise
            return None

    def _owners(self) -> OwnerSessions | None:
        """Return the sessions by role and database; None if only their total is known."""
        counts = self._survey.by_owner if self._survey else None
        return largest_owners(counts, self._configured) if counts else None

    def _largest_groups(self) -> SessionGroups | None:
        found = self._groups
        if found is None:
            return None
        return largest_groups(found.groups, found.total, found.hidden, self._configured)

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

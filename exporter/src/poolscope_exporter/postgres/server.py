"""Query a PostgreSQL server about its sessions, over one connection that is kept."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import chain
from types import MappingProxyType
from typing import Any

from psycopg.rows import DictRow

from poolscope_exporter import clock
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.lock_waits import PREPARED, LockWaits
from poolscope_exporter.core.model.servers import Privilege, ServerIdentity, ServerLimits
from poolscope_exporter.core.model.sessions import (
    Census,
    IdleBlocker,
    Session,
    SessionSample,
    SessionState,
)
from poolscope_exporter.polling.connection import PollConnection
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.opening import Opening
from poolscope_exporter.polling.passwords import Passwords
from poolscope_exporter.postgres.lock_queries import (
    MAX_LOCK_WAITERS,
    blocking_pids,
    read_lock_waits,
)
from poolscope_exporter.postgres.rows import (
    GroupsAnswer,
    Names,
    Row,
    Survey,
    groups_of,
    session_of,
    survey_of,
)

QUERY_DEADLINE_S = 3.0

SESSION_SETTINGS = {
    "statement_timeout": "2000",
    "lock_timeout": "200",
    "idle_in_transaction_session_timeout": "10000",
    # The role's own default is on, by deploy/postgres/role.sql: for libpq, that is a read-only
    # server. See LATER_SETTINGS.
    "default_transaction_read_only": "off",
    "search_path": "pg_catalog",
    "work_mem": "16MB",
    # If the network cuts off the exporter's session, the session uses a slot until the server
    # notices. With these values that takes a minute.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""The server times out before the exporter does, and writes no temporary file."""

LATER_SETTINGS = {"default_transaction_read_only": "on"}
"""The server rejects writes, once libpq has chosen the server for `target_session_attrs`."""


FACTS = ("role", "start", "address", "backend", "privileges")
"""The statements about the server and the exporter's role; each may be refused by itself."""

EVERY_STATEMENT: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(FACTS, MappingProxyType({})),
    **dict.fromkeys(
        (
            "canary",
            "connections",
            "databases",
            "limits",
            "pulse",
            "roles",
            "session_groups",
            "system_identifier",
        ),
        MappingProxyType({}),
    ),
    "blockers": {"pids": [1]},
    "census": {"addresses": []},
    "lock_waiters": {"most": 1},
    "suspects": {"pids": [1]},
}
"""Every statement of a poll, with parameters that select little or nothing."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The identity of the server and properties of the connection."""

    identity: ServerIdentity
    version: str
    uses_reserve: bool
    is_behind_pooler: bool


class PostgresServer:
    """One server and the one connection to it; every failure is a ServerUnavailableError.

    The connection is kept after a refused or timed-out statement if possible: while the server is
    full, no other connection would be accepted.
    """

    def __init__(
        self,
        name: str,
        dsn: Dsn,
        aliases: Sequence[Endpoint] = (),
        passwords: Passwords | None = None,
    ) -> None:
        self.name = name
        self._aliases = frozenset(aliases)
        opening = Opening(dsn, passwords, SESSION_SETTINGS, LATER_SETTINGS)
        self._connection = PollConnection(opening, QUERY_DEADLINE_S)
        self._names = Names()

    @property
    def is_connected(self) -> bool:
        """Return whether the connection is open, without a request to the server."""
        return self._connection.is_open

    async def connect(self) -> None:
        """Open a new connection."""
        await self._connection.open_anew()

    async def identify(self) -> Arrival:
        """Return the server's identity, and the exporter's role and privilege on it.

        A fact that the exporter's role may not read stays unknown.
        """
        facts: dict[str, Any] = {"in_recovery": await self.in_recovery()}
        for statement in FACTS:
            rows = await self._permitted(statement)
            facts |= rows[0] if rows else {}
        system = await self._optional("system_identifier")
        return self._arrival(facts | (system[0] if system else {}))

    async def in_recovery(self) -> bool:
        """Return whether the server is a replica now; also the cheapest liveness check."""
        rows = await self._permitted("pulse")
        return bool(rows[0]["in_recovery"]) if rows else self._connection.is_hot_standby

    async def read_limits(self) -> ServerLimits | None:
        """Return the limits and store the names of roles and databases; None if refused.

        Raises if an answer is only late, for example because a catalogue is locked. The earlier
        values then stay, because without a limit the headroom would be too large.
        """
        roles = await self._permitted("roles")
        databases = await self._permitted("databases")
        self._names = Names(
            roles={row["oid"]: row["name"] for row in roles},
            databases={row["oid"]: row["name"] for row in databases},
        )
        server = await self._permitted("limits")
        if not server:
            return None
        return ServerLimits(
            **server[0], role_limits=_limits(roles), database_limits=_limits(databases)
        )

    async def look_up(self, pids: Sequence[int]) -> SessionSample:
        """Return the sessions with these backend PIDs, which must be between 1 and 4194304."""
        taken_at_s = clock.monotonic()
        try:
            rows = await self._fetch("suspects", {"pids": list(pids)}) if pids else []
        except ServerUnavailableError as exc:
            self._raise_unless_refused(exc)
            return SessionSample(self.name, taken_at_s, frozenset(pids), {}, is_refused=True)
        took_s = clock.monotonic() - taken_at_s
        sessions = {row["pid"]: session_of(row, self._names) for row in rows}
        blocked_by = await self._blockers(sessions.values())
        idle = await self._idle_sessions(set(chain(*blocked_by.values())), sessions)
        for pid, blockers in blocked_by.items():
            idle_blockers = tuple(idle[each] for each in blockers if each in idle)
            sessions[pid] = replace(sessions[pid], blocked_by=blockers, idle_blockers=idle_blockers)
        return SessionSample(self.name, taken_at_s, frozenset(pids), sessions, took_s)

    async def lock_waits(self) -> LockWaits:
        """Return the sessions that wait for a lock, and those at the roots of their queues."""
        return await read_lock_waits(self._fetch, self.name, self._names)

    async def census(self, addresses: Collection[str]) -> Census | None:
        """Return the client sessions from these addresses; None if the server refuses.

        An address must come from this server, so that it is written in the server's form.
        """
        taken_at_s = clock.monotonic()
        try:
            rows = await self._fetch("census", {"addresses": sorted(addresses)})
        except ServerUnavailableError:
            if not self.is_connected:
                raise
            return None
        sessions = tuple(session_of(row, self._names) for row in rows)
        return Census(self.name, taken_at_s, sessions)

    async def survey(self) -> Survey:
        """Return the number of sessions; only the total if the rest is refused."""
        rows = await self._optional("connections")
        if rows:
            return survey_of(rows, self._names)
        return Survey(total=await self.count_sessions())

    async def session_groups(self) -> GroupsAnswer:
        """Return the largest groups of client sessions, instrumented or not."""
        return groups_of(await self._fetch("session_groups"), self._names)

    async def refusals(self) -> dict[str, str]:
        """Run every statement that a poll may send; return the refused ones with the message."""
        found = {}
        for statement, parameters in sorted(EVERY_STATEMENT.items()):
            try:
                await self._fetch(statement, parameters)
            except ServerUnavailableError as exc:
                if not self.is_connected:
                    raise
                found[statement] = str(exc)
        return found

    async def count_sessions(self) -> int:
        """Return the number of sessions by the cheapest query; also a liveness check."""
        sessions: int = (await self._fetch("canary"))[0]["sessions"]
        return sessions

    async def end_poll(self) -> None:
        """Keep the connection: while the server is full, no other would be accepted."""

    async def close(self) -> None:
        """Close the connection, if there is one."""
        await self._connection.close()

    async def _fetch(self, statement: str, parameters: Row | None = None) -> list[DictRow]:
        return await self._connection.fetch_rows(_sql(statement), parameters)

    async def _optional(self, statement: str) -> list[DictRow]:
        """Return the rows, or none if the server refuses this query but stays connected."""
        try:
            return await self._fetch(statement)
        except ServerUnavailableError:
            if not self.is_connected:
                raise
            return []

    async def _permitted(self, statement: str) -> list[DictRow]:
        """Return the rows, or none if the exporter's role may not read them."""
        try:
            return await self._fetch(statement)
        except ServerUnavailableError as exc:
            self._raise_unless_refused(exc)
            return []

    def _raise_unless_refused(self, exc: ServerUnavailableError) -> None:
        """Raise the error, except if the exporter's role only lacks a right for this statement."""
        if exc.reason is not Reason.PERMISSION or not self.is_connected:
            raise exc

    async def _blockers(self, sessions: Iterable[Session]) -> dict[int, tuple[int, ...]]:
        waiting = [each.pid for each in sessions if each.wait_event_type == "Lock"]
        try:
            found = await blocking_pids(self._fetch, waiting[:MAX_LOCK_WAITERS])
        except ServerUnavailableError as exc:
            self._raise_unless_refused(exc)
            return {}
        return {
            pid: tuple(each for each in pids if each != PREPARED) for pid, pids in found.items()
        }

    async def _idle_sessions(
        self, pids: Collection[int], known: Mapping[int, Session]
    ) -> dict[int, IdleBlocker]:
        """Return the idle sessions among the blockers; query only if a session is blocked."""
        unknown = sorted(pid for pid in pids if pid not in known)[:MAX_LOCK_WAITERS]
        rows = await self._fetch("suspects", {"pids": unknown}) if unknown else []
        found = [*known.values(), *(session_of(row, self._names) for row in rows)]
        return {
            each.pid: IdleBlocker(each.pid, each.state_age_s)
            for each in found
            if each.state is SessionState.IDLE and each.state_age_s is not None
        }

    def _arrival(self, facts: Row) -> Arrival:
        info = self._connection.connection_info
        assert info is not None
        identity = ServerIdentity(
            server=self.name,
            version_num=info.server_version,
            system_identifier=facts.get("system_identifier"),
            started_at_s=facts.get("started_at_s"),
            in_recovery=facts["in_recovery"],
            privilege=_privilege(facts),
            role=facts.get("role", info.user),
            addresses=self._aliases
            | {Endpoint(info.host, info.port)}
            | _endpoints(info.hostaddr, info.port)
            | _endpoints(facts.get("server_address"), facts.get("server_port")),
        )
        return Arrival(
            identity,
            version=info.parameter_status("server_version") or str(info.server_version),
            uses_reserve=facts.get("uses_reserve", False),
            is_behind_pooler=info.backend_pid != facts.get("server_pid", info.backend_pid),
        )


@cache
def _sql(statement: str) -> bytes:
    return resources.files(__package__).joinpath("sql", f"{statement}.sql").read_bytes()


def _privilege(row: Row) -> Privilege:
    if row.get("sees_all"):
        return Privilege.FULL
    return Privilege.MEMBER if row.get("sees_members") else Privilege.OWN


def _endpoints(address: str | None, port: int | None) -> frozenset[Endpoint]:
    return frozenset([Endpoint(address, port)]) if address and port else frozenset()


def _limits(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {row["name"]: row["connection_limit"] for row in rows if row["connection_limit"] >= 0}

"""Check a server and its PgBouncers: what the exporter can read there, and what to grant."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from psycopg import sql

from poolscope_exporter.core.capacity.headroom import headroom
from poolscope_exporter.core.capacity.pgbouncer_headroom import bouncer_headroom
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerSample
from poolscope_exporter.core.model.servers import Privilege, ServerLimits, is_expected, role_of
from poolscope_exporter.pgbouncer.console import BouncerFacts, PgBouncerConsole
from poolscope_exporter.pgbouncer.discovery import consoles_of
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.postgres.factory import server_of
from poolscope_exporter.postgres.rows import Survey
from poolscope_exporter.postgres.server import Arrival
from poolscope_exporter.settings.servers import ServerTarget

_SIGHT = {
    Privilege.FULL: "every session, with its state",
    Privilege.MEMBER: "the sessions of this role and of its granted roles; others are hidden",
    Privilege.OWN: "the sessions of this role; all others are hidden",
}

_CURES = {
    Reason.REFUSED: "check that the server runs, and that host and port are right",
    Reason.TIMEOUT: "check the firewall and the network policy between exporter and server",
    Reason.NAME_RESOLUTION: "check the host name",
    Reason.AUTHENTICATION: "check user and password, and that pg_hba.conf admits them",
    Reason.CREDENTIALS: "check the password file or the password command",
    Reason.TLS: "check that sslmode, sslrootcert and the server's certificate match",
    Reason.TOO_MANY_CONNECTIONS: (
        "every slot is used, also the reserved ones; increase reserved_connections"
    ),
    Reason.RESERVED_SLOTS: (
        "the server has no free slot for ordinary roles; set reserved_connections > 0 and grant"
        " pg_use_reserved_connections to the exporter's role (PostgreSQL 16 and later)"
    ),
    Reason.ROLE_LIMIT: (
        "the exporter's role is at its limit; raise it by ALTER ROLE … CONNECTION LIMIT"
    ),
    Reason.DATABASE_LIMIT: "the database has reached its limit; use another database in the DSN",
}

_SEE = "see the message above"

LEAST_SHARING = 2
"""The least number of processes on a port that is shared."""

_DISPENSABLE = frozenset({"system_identifier"})
"""Managed services revoke it. The start of the server also shows that another one answers."""

_DENIED = re.compile(r"permission denied for (?P<kind>function|view|table) (?P<name>\w+)")
"""The server's English message; in another language, the message itself is reported."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check: lines to print, and the missing grants.

    If none is missing, the check passed.
    """

    lines: tuple[str, ...]
    missing: tuple[str, ...]


async def check(target: ServerTarget | None, pgbouncers: Sequence[Dsn] = ()) -> Report:
    """Connect, read and report; a server that does not answer is reported as well."""
    reports = [await check_target(target)] if target else []
    sharing: list[Endpoint] = []
    for each in pgbouncers:
        reports += await _check_bouncers(each, sharing)
    lines = chain.from_iterable(report.lines for report in reports)
    missing = chain.from_iterable(each.missing for each in reports)
    return Report(tuple(lines), (*missing, *missing_consoles(sharing)))


def missing_consoles(sharing: Sequence[Endpoint]) -> Iterator[str]:
    """Yield what is missing to reach each PgBouncer of a port that several processes share.

    Only a Unix socket always leads to the same process. How many processes share the port cannot
    be read, so two consoles are taken for all of them.
    """
    ports = defaultdict(list)
    for console in sharing:
        ports[console.port].append(console.address)
    for port, addresses in sorted(ports.items()):
        by_tcp = [address for address in addresses if not address.startswith("/")]
        if by_tcp or len(addresses) < LEAST_SHARING:
            yield (
                f"the consoles of the other PgBouncers on port {port} (so_reuseport): pass each by"
                " --pgbouncer, with its unix_socket_dir as the host"
            )


async def check_target(target: ServerTarget) -> Report:
    """Connect to one server with its current password, read and report."""
    server = server_of(target)
    try:
        await server.connect()
        arrival = await server.identify()
        limits = await server.read_limits()
        limits = limits and replace(limits, managed=target.reserved_slots)
        survey = await server.survey()
        refusals = await server.refusals()
    except ServerUnavailableError as exc:
        return Report((f"server      {target.dsn}: {exc}",), (_cure(exc),))
    finally:
        await server.close()
    refused = (f"refused     {name}: {message}" for name, message in refusals.items())
    lines = (*_about_server(arrival), *_about_room(arrival, limits, survey), *refused)
    missing = (
        *_missing_role(arrival, target.expects),
        *_missing(arrival, limits),
        *_missing_rights(arrival, refusals),
    )
    return Report(lines, missing)


async def _check_bouncers(dsn: Dsn, sharing: list[Endpoint]) -> list[Report]:
    """Check each PgBouncer behind a host name; add each console that shares its port."""
    try:
        consoles = await consoles_of(dsn)
    except ServerUnavailableError as exc:
        return [Report((f"pgbouncer   {dsn}: {exc}",), (_bouncer_cure(exc),))]
    return [await _check_bouncer(console, sharing) for console in consoles]


async def _check_bouncer(console: PgBouncerConsole, sharing: list[Endpoint]) -> Report:
    try:
        await console.connect()
        facts = await console.facts()
        sample = await console.read_sockets()
    except ServerUnavailableError as exc:
        return Report((f"pgbouncer   {console.name}: {exc}",), (_bouncer_cure(exc),))
    finally:
        await console.close()
    clients = ", ".join(f"{count} {state}" for state, count in sample.counts.items())
    lines = (
        f"pgbouncer   {console.name}: {facts.version}",
        f"clients     {clients}",
        f"time-outs   {_timeouts(facts)}",
        *_bouncer_room(facts, sample),
    )
    if facts.shares_its_port:
        sharing.append(console.endpoint)
    return Report(lines, ())


def _timeouts(facts: BouncerFacts) -> str:
    if facts.timeouts_s is None:
        return "unknown: the PgBouncer does not show its settings"
    found = (f"{name} {seconds:g} s" for name, seconds in facts.timeouts_s.items() if seconds)
    return ", ".join(found) or "none"


def _bouncer_room(facts: BouncerFacts, sample: BouncerSample) -> Iterator[str]:
    if facts.limits is None:
        yield "headroom    unknown: the PgBouncer does not show its limits"
        return
    for bound in sorted(bouncer_headroom(facts.limits, sample).limits, key=lambda each: each.free):
        what = "clients" if bound.scope == "clients" else f"server connections of {bound.name}"
        yield f"headroom    {bound.free} more {what}: {bound.used} of {bound.limit} are used"
    for name in sorted(facts.limits.paused):
        yield f"paused      {name}: no client gets a server connection until RESUME"


def _bouncer_cure(exc: ServerUnavailableError) -> str:
    if exc.reason is Reason.PERMISSION:
        return "permission to query: add the role to stats_users of the PgBouncer"
    return f"an answer of the PgBouncer ({exc.reason}): {_CURES.get(exc.reason, _SEE)}"


def _cure(exc: ServerUnavailableError) -> str:
    if "unsupported startup parameter" in str(exc):
        return "an answer of PostgreSQL: connect to it directly, not through PgBouncer"
    return f"an answer ({exc.reason}): {_CURES.get(exc.reason, _SEE)}"


def _about_server(arrival: Arrival) -> Iterator[str]:
    identity = arrival.identity
    place = "replica" if identity.in_recovery else "primary"
    yield f"server      {identity.server}: PostgreSQL {arrival.version}, {place}"
    yield f"role        {identity.role}, privilege {identity.privilege}"
    yield f"sees        {_SIGHT[identity.privilege]}"
    path = "through a pooler" if arrival.is_behind_pooler else "direct, no pooler found"
    yield f"connection  {path}"


def _about_room(arrival: Arrival, limits: ServerLimits | None, survey: Survey) -> Iterator[str]:
    if limits is None:
        yield "limits      unknown: the server does not show them"
    else:
        yield (
            f"limits      {limits.usable} sessions for ordinary roles: max_connections"
            f" {limits.max_connections}, less {limits.superuser_reserved} for superusers"
            f" and {limits.reserved} reserved"
        )
        yield from _named_limits("role", limits.role_limits)
        yield from _named_limits("database", limits.database_limits)
        room = headroom(
            limits,
            survey.total,
            survey.by_role,
            survey.by_database,
            own_role=arrival.identity.role,
        )
        name = f" {room.name}" if room.name else ""
        yield f"headroom    {room.free} more sessions, by the limit of the {room.tightest}{name}"
    states = ", ".join(f"{count} {state}" for state, count in survey.by_state.items() if count)
    yield f"sessions    {survey.total}{f' ({states})' if states else ''}"


def _named_limits(kind: str, limits: Mapping[str, int]) -> Iterator[str]:
    for name, limit in sorted(limits.items()):
        yield f"            {limit} sessions for {kind} {name}"


def _missing_role(arrival: Arrival, expects: str) -> Iterator[str]:
    if not is_expected(arrival.identity, expects):
        yield f"a {expects}: a {role_of(arrival.identity)} answers; use another address in the DSN"


def _missing_rights(arrival: Arrival, refusals: Mapping[str, str]) -> Iterator[str]:
    """Yield each right that a needed statement lacks, once."""
    role = sql.Identifier(arrival.identity.role).as_string(None)
    lacking = dict.fromkeys(
        message for statement, message in refusals.items() if statement not in _DISPENSABLE
    )
    for message in lacking:
        denied = _DENIED.search(message)
        if denied is None:
            yield f"an answer: {message}"
        elif denied["kind"] == "function":
            yield f"GRANT EXECUTE ON FUNCTION pg_catalog.{denied['name']} TO {role};"
        else:
            yield f"GRANT SELECT ON pg_catalog.{denied['name']} TO {role};"


def _missing(arrival: Arrival, limits: ServerLimits | None) -> Iterator[str]:
    role = sql.Identifier(arrival.identity.role).as_string(None)
    if arrival.is_behind_pooler:
        yield "a direct connection: through a pooler, poolscope cannot identify sessions reliably"
    if arrival.identity.privilege is not Privilege.FULL:
        yield f"GRANT pg_read_all_stats TO {role};  -- to see the sessions of all roles"
    if limits and limits.reserved and not arrival.uses_reserve:
        yield (
            f"GRANT pg_use_reserved_connections TO {role};  -- to connect while the server is full"
        )

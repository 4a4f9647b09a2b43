"""PgBouncer: its clients, its connections to servers, and which connection serves which client."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from poolscope_exporter.core.model.endpoints import Endpoint, canonical

LAST_REQUEST_GRAIN_S = 1.0
"""PgBouncer reports the time of a client's last request in whole seconds."""

Socket = tuple[str, int]
"""The far end of a client's connection: the canonical address, and the port."""


class ClientState(StrEnum):
    """The state of a PgBouncer's client: with a server connection, without one, or in the queue."""

    ACTIVE = "active"
    IDLE = "idle"
    WAITING = "waiting"


class PoolMode(StrEnum):
    """The time for which a PgBouncer lends a server connection to a client."""

    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


Version = tuple[int, int]
"""A PgBouncer's version: major and minor."""

FIRST_TO_TRACK: Version = (1, 21)
"""The first version that has the setting `max_prepared_statements`."""


@dataclass(frozen=True, slots=True)
class Pooling:
    """How a PgBouncer pools the connections to one database; None is unknown.

    The `modes` are those of all users of the database, empty if unknown. The number of statements
    tracked on a server connection is `max_prepared_statements`: 0 for none.
    """

    bouncer: str
    modes: frozenset[PoolMode] = frozenset()
    max_prepared_statements: int | None = None
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class PoolingSettings:
    """The settings that determine how a PgBouncer pools; None is unknown.

    A mode in `users` has precedence over one in `databases`, which has precedence over the default.
    """

    default_mode: PoolMode | None = None
    databases: Mapping[str, PoolMode] = field(default_factory=dict)
    users: Mapping[str, PoolMode] = field(default_factory=dict)
    max_prepared_statements: int | None = None
    version: Version | None = None

    def modes(self, database: str, users: Collection[str]) -> frozenset[PoolMode]:
        """Return the modes for these users of a database; empty if one is unknown.

        If no user is known, none is assumed to have a separate mode. Without a name, it may be any
        database.
        """
        if not database:
            modes = {self.default_mode, *self.databases.values(), *self.users.values()}
            return _all_known(modes)
        of_database = self.databases.get(database, self.default_mode)
        return _all_known({self.users.get(user, of_database) for user in users} or {of_database})

    def without_modes(self) -> "PoolingSettings":
        """Return the settings without modes, because only a part of them is known."""
        return replace(self, default_mode=None, databases={}, users={})


def _all_known(modes: Collection[PoolMode | None]) -> frozenset[PoolMode]:
    known = frozenset(mode for mode in modes if mode is not None)
    return known if len(known) == len(modes) else frozenset()


@dataclass(frozen=True, slots=True)
class BouncerClient:
    """One client of a PgBouncer; `server` is the key of the server connection that it has.

    PgBouncer's text for the time of the last request is `last_request`, which is only good for
    comparing. The time in the queue is `waits_s`, 0 outside it. The role of its login is `user`,
    and `database` is the name that it requested.
    """

    state: ClientState
    server: str | None
    last_request: str
    waits_s: float
    user: str = ""
    database: str = ""


@dataclass(frozen=True, slots=True)
class ClientQueue:
    """The clients that wait for a server connection of one database and user."""

    waiting: int
    longest_s: float


@dataclass(frozen=True, slots=True)
class BouncerServer:
    """One connection of a PgBouncer to a server.

    The server itself reported the backend's `pid` to PgBouncer. Over a Unix socket there is no
    `local_port`, and `remote` has the server's port and no address.
    """

    remote: Endpoint
    local_port: int | None
    pid: int
    user: str


@dataclass(frozen=True, slots=True)
class BouncerSample:
    """All clients and server connections of one PgBouncer, in one answer.

    The exporter's monotonic clock was `taken_at_s` when the command was sent, and `answered_at_s`
    when the answer arrived. Clients over Unix sockets are in `counts`, but `clients` cannot
    identify them. Clients reached PgBouncer by its `addresses`. Clients of the console are included
    in `total_clients`, as in PgBouncer's limit. The server connections that serve a client are
    counted in `serving`, by (database, user); 0 if all are idle. The clients that wait for one are
    in `queues`, with the same keys.
    """

    bouncer: str
    taken_at_s: float
    answered_at_s: float
    clients: Mapping[Socket, BouncerClient]
    servers: Mapping[str, BouncerServer]
    counts: Mapping[ClientState, int]
    addresses: frozenset[Endpoint] = frozenset()
    total_clients: int = 0
    serving: Mapping[tuple[str, str], int] = field(default_factory=dict)
    queues: Mapping[tuple[str, str], ClientQueue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdleSpell:
    """The time since which a client without a server connection has had the same last request.

    With `was_active`, the previous poll showed a server connection, or another last request.
    """

    last_request: str
    since_s: float
    was_active: bool = False


@dataclass(frozen=True, slots=True)
class Bouncer:
    """The present data of one configured PgBouncer; without a sample it does not answer.

    The held connections that were its clients at any time since it answers are `seen`.
    """

    name: str
    addresses: frozenset[Endpoint]
    sample: BouncerSample | None = None
    idle_spells: Mapping[Socket, IdleSpell] = field(default_factory=dict)
    seen: frozenset[Socket] = frozenset()

    def idle_spell_s(self, client: Socket) -> float:
        """Return the least time for which a client without a server connection sent nothing."""
        known = self.idle_spells.get(client)
        if known is None or self.sample is None:
            return 0.0
        return max(0.0, self.sample.taken_at_s - known.since_s - LAST_REQUEST_GRAIN_S)

    def was_active(self, client: Socket) -> bool:
        """Return whether a client sent a request since the previous poll."""
        known = self.idle_spells.get(client)
        return known is not None and known.was_active


def socket_of(endpoint: Endpoint) -> Socket:
    """Return the key that identifies a client's end of a connection."""
    return canonical(endpoint.address), endpoint.port


class Bouncers:
    """The configured PgBouncers that were found, and the last answer of each."""

    def __init__(self, configured: Mapping[str, frozenset[Endpoint]]) -> None:
        self._configured = dict(configured)
        self._known = {name: Bouncer(name, ends) for name, ends in configured.items()}

    def add_bouncer(self, name: str, addresses: frozenset[Endpoint]) -> None:
        """Add a PgBouncer, which has not answered yet."""
        self._configured[name] = addresses
        self._known[name] = Bouncer(name, addresses)

    def remove_bouncer(self, name: str) -> None:
        """Remove a PgBouncer and its data."""
        self._configured.pop(name, None)
        self._known.pop(name, None)

    def known(self) -> list[Bouncer]:
        """Return every known PgBouncer."""
        return list(self._known.values())

    def record_sockets(self, sample: BouncerSample, held: Collection[Socket]) -> None:
        """Store a sample; `held` are the application's ends of the held connections."""
        before = self._known.get(sample.bouncer)
        if before is None:
            return  # it was removed while it answered
        self._known[sample.bouncer] = Bouncer(
            name=sample.bouncer,
            addresses=self._configured[sample.bouncer] | sample.addresses,
            sample=sample,
            idle_spells=_idle_spells(before, sample),
            seen=frozenset(each for each in held if each in before.seen or each in sample.clients),
        )

    def mark_down(self, name: str) -> None:
        """Drop the data of a PgBouncer that does not answer; another one may answer later."""
        if name in self._configured:
            self._known[name] = Bouncer(name, self._configured[name])


def _idle_spells(before: Bouncer, sample: BouncerSample) -> dict[Socket, IdleSpell]:
    found = {}
    for socket, client in sample.clients.items():
        if client.state is not ClientState.IDLE:
            continue
        known = before.idle_spells.get(socket)
        if known is None or known.last_request != client.last_request:
            # It is seen for the first time, so its last request may have been long ago.
            known = IdleSpell(client.last_request, sample.answered_at_s, _knows(before, socket))
        else:
            known = replace(known, was_active=False)
        found[socket] = known
    return found


def _knows(before: Bouncer, client: Socket) -> bool:
    return before.sample is not None and client in before.sample.clients

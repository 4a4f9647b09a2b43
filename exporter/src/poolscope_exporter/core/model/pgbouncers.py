"""Describe PgBouncer: its clients, its connections to servers, and which of them serves which."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from poolscope_exporter.core.model.endpoints import Endpoint, canonical

LAST_REQUEST_GRAIN_S = 1.0
"""PgBouncer tells the time of a client's last request in whole seconds."""

Socket = tuple[str, int]
"""The far end of a client's connection: an address in its one spelling, and a port."""


class ClientState(StrEnum):
    """What a bouncer's client has: a server connection, none, or a place in the queue for one."""

    ACTIVE = "active"
    IDLE = "idle"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class BouncerClient:
    """One client of a bouncer; `server` is the key of the server connection that it has.

    `last_request` is the bouncer's own word for when the client last asked for anything, and only
    good for comparing. `waits_s` is how long it has been in the queue, 0 where it is not.
    """

    state: ClientState
    server: str | None
    last_request: str
    waits_s: float


@dataclass(frozen=True, slots=True)
class BouncerServer:
    """One connection of a bouncer to a server.

    `pid` is the backend's, as the server itself told the bouncer. Over a Unix socket there is no
    `local_port`, and `remote` has the server's port and no address.
    """

    remote: Endpoint
    local_port: int | None
    pid: int
    user: str


@dataclass(frozen=True, slots=True)
class BouncerSample:
    """All clients and server connections of one bouncer, in one answer.

    `taken_at_s` and `answered_at_s` are the exporter's monotonic clock when the command was sent
    and when the answer was there. `counts` holds the clients over Unix sockets too, which
    `clients` cannot name. `addresses` are those by which clients reached the bouncer.
    `total_clients` counts those of the console too, as the bouncer's own limit does. `serving`
    counts the server connections that serve a client, by (database, user); 0 where all are idle.
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


@dataclass(frozen=True, slots=True)
class IdleSpell:
    """Since when a client without a server connection was seen with the same last request.

    `was_active`: at the look before it had a server connection, or another last request.
    """

    last_request: str
    since_s: float
    was_active: bool = False


@dataclass(frozen=True, slots=True)
class Bouncer:
    """What is known of one configured bouncer; without a sample it does not answer.

    `seen`: the held connections that were its clients at some time since it answers us.
    """

    name: str
    addresses: frozenset[Endpoint]
    sample: BouncerSample | None = None
    idle_spells: Mapping[Socket, IdleSpell] = field(default_factory=dict)
    seen: frozenset[Socket] = frozenset()

    def idle_spell_s(self, client: Socket) -> float:
        """Return for how long, at least, a client without a server connection asked for nothing."""
        known = self.idle_spells.get(client)
        if known is None or self.sample is None:
            return 0.0
        return max(0.0, self.sample.taken_at_s - known.since_s - LAST_REQUEST_GRAIN_S)

    def was_active(self, client: Socket) -> bool:
        """Return whether a client was seen to ask for something since the look before."""
        known = self.idle_spells.get(client)
        return known is not None and known.was_active


def socket_of(endpoint: Endpoint) -> Socket:
    """Return the key by which a client's end of a connection is found."""
    return canonical(endpoint.address), endpoint.port


class Bouncers:
    """The bouncers and what each last said: those configured, as far as they are found."""

    def __init__(self, configured: Mapping[str, frozenset[Endpoint]]) -> None:
        self._configured = dict(configured)
        self._known = {name: Bouncer(name, ends) for name, ends in configured.items()}

    def add_bouncer(self, name: str, addresses: frozenset[Endpoint]) -> None:
        """Add a bouncer, which has not said anything yet."""
        self._configured[name] = addresses
        self._known[name] = Bouncer(name, addresses)

    def remove_bouncer(self, name: str) -> None:
        """Forget a bouncer altogether."""
        self._configured.pop(name, None)
        self._known.pop(name, None)

    def known(self) -> list[Bouncer]:
        """Return every configured bouncer."""
        return list(self._known.values())

    def record_sockets(self, sample: BouncerSample, held: Collection[Socket]) -> None:
        """Take a sample in; `held` are the application's ends of the connections that are held."""
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
        """Forget what a bouncer said: it does not answer, and may be another one afterwards."""
        if name in self._configured:
            self._known[name] = Bouncer(name, self._configured[name])


def _idle_spells(before: Bouncer, sample: BouncerSample) -> dict[Socket, IdleSpell]:
    found = {}
    for socket, client in sample.clients.items():
        if client.state is not ClientState.IDLE:
            continue
        known = before.idle_spells.get(socket)
        if known is None or known.last_request != client.last_request:
            # Seen for the first time, it may have asked long ago.
            known = IdleSpell(client.last_request, sample.answered_at_s, _knows(before, socket))
        else:
            known = replace(known, was_active=False)
        found[socket] = known
    return found


def _knows(before: Bouncer, client: Socket) -> bool:
    return before.sample is not None and client in before.sample.clients

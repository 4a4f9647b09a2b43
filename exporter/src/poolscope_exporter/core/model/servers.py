"""Tell a server from the one that answered at its address before: what is known of that is void."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from poolscope_exporter.core.model.endpoints import Endpoint


class ServerRole(StrEnum):
    """What a server is to its cluster."""

    PRIMARY = "primary"
    REPLICA = "replica"


class Change(StrEnum):
    """What became of the server at an address.

    `REPLACED`: another postmaster answers, after a restart or a fail-over. `PROMOTED`: the same
    one, with its sessions, is a primary now.
    """

    REPLACED = "replaced"
    PROMOTED = "promoted"


ANY_ROLE = "any"
"""What a target expects that does not care."""


class Privilege(StrEnum):
    """How much of other roles' sessions our role may see."""

    FULL = "full"
    MEMBER = "member"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Facts of a server that change only with a restart, a fail-over or a grant.

    `addresses` holds every (address, port) by which an application may name the server: as
    configured, as connected to, as the server itself says, and the configured aliases.
    """

    server: str
    version_num: int
    system_identifier: str | None
    started_at_s: float
    in_recovery: bool
    privilege: Privilege
    role: str
    addresses: frozenset[Endpoint]


def role_of(identity: ServerIdentity) -> ServerRole:
    """Return what a server is to its cluster."""
    return ServerRole.REPLICA if identity.in_recovery else ServerRole.PRIMARY


def is_expected(identity: ServerIdentity, expects: str) -> bool:
    """Return whether a server is what its target expects: `primary`, `replica` or `any`."""
    return expects in (ANY_ROLE, role_of(identity))


def change_of(before: ServerIdentity | None, now: ServerIdentity) -> Change | None:
    """Return what has changed since the server was identified before, None where nothing has.

    The start time, to the microsecond, tells postmasters apart: primary and replicas share their
    system identifier, and one server may answer from several addresses.
    """
    if before is None:
        return None
    if before.started_at_s != now.started_at_s or _are_different(before, now):
        return Change.REPLACED
    return Change.PROMOTED if before.in_recovery and not now.in_recovery else None


def _are_different(before: ServerIdentity, now: ServerIdentity) -> bool:
    known = {before.system_identifier, now.system_identifier} - {None}
    return len(known) > 1


class LocatedServer(Protocol):
    """A server as far as it can be found: its name, and the addresses that lead to it."""

    @property
    def server(self) -> str:
        """Return the configured name."""

    @property
    def addresses(self) -> frozenset[Endpoint]:
        """Return every address by which an application may name it."""


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """What the configuration says of one server, known before it was ever reached.

    `addresses` are those by which it is configured. `expects` is the role that it must have to be
    the server that was meant. `reserved_slots` are sessions that a managed service keeps for
    itself, beyond what the server's own settings say. `proxy_idle_timeout_s` is that of a proxy
    before it which cannot be asked. `shown_databases` and `shown_roles` name the only ones whose
    sessions may be shown; None is all of them.
    """

    server: str
    addresses: frozenset[Endpoint] = frozenset()
    expects: str = ANY_ROLE
    reserved_slots: int = 0
    cpus: float | None = None
    proxy_idle_timeout_s: float | None = None
    shown_databases: frozenset[str] | None = None
    shown_roles: frozenset[str] | None = None

    @property
    def withholds_some(self) -> bool:
        """Return whether any of its sessions may not be shown."""
        return self.shown_databases is not None or self.shown_roles is not None

    def shows_database(self, name: str | None) -> bool:
        """Return whether sessions of a database may be shown; None is one that is not known."""
        return self.shown_databases is None or name in self.shown_databases

    def shows_role(self, name: str | None) -> bool:
        """Return whether sessions of a role may be shown; None is one that is not known."""
        return self.shown_roles is None or name in self.shown_roles


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits that new sessions run into; None where there is none or it cannot be known.

    `managed` sessions are those that a managed service keeps for itself, as configured.
    """

    max_connections: int
    superuser_reserved: int
    reserved: int
    role_limits: Mapping[str, int] = field(default_factory=dict)
    database_limits: Mapping[str, int] = field(default_factory=dict)
    managed: int = 0

    @property
    def usable(self) -> int:
        """Return how many sessions ordinary roles may have together."""
        return self.max_connections - self.superuser_reserved - self.reserved - self.managed

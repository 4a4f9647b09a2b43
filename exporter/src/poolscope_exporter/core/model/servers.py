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
    """Tell whether a server is what its target expects: `primary`, `replica` or `any`."""
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


class Located(Protocol):
    """A server as far as it can be found: its name, and the addresses that lead to it."""

    @property
    def server(self) -> str:
        """Return the configured name."""

    @property
    def addresses(self) -> frozenset[Endpoint]:
        """Return every address by which an application may name it."""


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """A server that was never reached: only what the configuration says of it is known."""

    server: str
    addresses: frozenset[Endpoint]


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

"""Detect that another server answers at an address, so that earlier samples are discarded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.idle_timeouts import IdleTimeout


class ServerRole(StrEnum):
    """The role of a server in its cluster."""

    PRIMARY = "primary"
    REPLICA = "replica"


class Change(StrEnum):
    """A change of the server at an address.

    With `REPLACED`, another postmaster answers, after a restart or a fail-over. With `PROMOTED`,
    the same server, with its sessions, is now a primary.
    """

    REPLACED = "replaced"
    PROMOTED = "promoted"


ANY_ROLE = "any"
"""The expected role of a target that accepts any."""


class Privilege(StrEnum):
    """The access of the exporter's role to other roles' sessions."""

    FULL = "full"
    MEMBER = "member"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Facts of a server that change only with a restart, a fail-over or a grant.

    Every (address, port) by which an application may name the server is in `addresses`. These are
    the configured address, the connected one, the server's own, and the configured aliases. The
    system identifier and the start are None if the exporter's role may not read them.
    """

    server: str
    version_num: int
    system_identifier: str | None
    started_at_s: float | None
    in_recovery: bool
    privilege: Privilege
    role: str
    addresses: frozenset[Endpoint]


def role_of(identity: ServerIdentity) -> ServerRole:
    """Return the role of a server in its cluster."""
    return ServerRole.REPLICA if identity.in_recovery else ServerRole.PRIMARY


def is_expected(identity: ServerIdentity, expects: str) -> bool:
    """Return whether a server has its target's expected role: `primary`, `replica` or `any`."""
    return expects in (ANY_ROLE, role_of(identity))


def change_of(before: ServerIdentity | None, now: ServerIdentity) -> Change | None:
    """Return the change since the server was identified before, or None.

    The start time, to the microsecond, identifies a postmaster. Primary and replicas share their
    system identifier, and one server may answer from several addresses.
    """
    if before is None:
        return None
    if _are_different(before, now):
        return Change.REPLACED
    return Change.PROMOTED if before.in_recovery and not now.in_recovery else None


def _are_different(before: ServerIdentity, now: ServerIdentity) -> bool:
    systems = {before.system_identifier, now.system_identifier} - {None}
    starts = {before.started_at_s, now.started_at_s} - {None}
    return len(systems) > 1 or len(starts) > 1


class LocatedServer(Protocol):
    """A server as far as it is needed to find it: its name and its addresses."""

    @property
    def server(self) -> str:
        """Return the configured name."""

    @property
    def addresses(self) -> frozenset[Endpoint]:
        """Return every address by which an application may name it."""


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """The configuration of one server, which is available before it was ever reached.

    It is configured by its `addresses`, and must have the role `expects`. A managed service
    reserves `reserved_slots` sessions in addition to the server's settings. A proxy or NAT before
    it, which cannot be queried, has `idle_timeouts`. Only sessions of `shown_databases` and
    `shown_roles` may be shown; None is all of them.
    """

    server: str
    addresses: frozenset[Endpoint] = frozenset()
    expects: str = ANY_ROLE
    reserved_slots: int = 0
    cpus: float | None = None
    idle_timeouts: tuple[IdleTimeout, ...] = ()
    shown_databases: frozenset[str] | None = None
    shown_roles: frozenset[str] | None = None

    @property
    def withholds_some(self) -> bool:
        """Return whether any of its sessions may not be shown."""
        return self.shown_databases is not None or self.shown_roles is not None

    def shows_database(self, name: str | None) -> bool:
        """Return whether sessions of a database may be shown; None is an unknown one."""
        return self.shown_databases is None or name in self.shown_databases

    def shows_role(self, name: str | None) -> bool:
        """Return whether sessions of a role may be shown; None is an unknown one."""
        return self.shown_roles is None or name in self.shown_roles


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits on new sessions; None if there is none or it is unknown.

    The configured number of sessions that a managed service reserves is `managed`.
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

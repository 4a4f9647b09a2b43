"""Tell a server from the one that answered at its address before: what is known of that is void."""

from enum import StrEnum

from poolscope_exporter.core.model.sessions import ServerIdentity


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

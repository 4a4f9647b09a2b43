"""The owners of a server's sessions: the largest groups, and the number of all other sessions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.model.servers import ConfiguredServer

MAX_GROUPS: Final = 10
"""The most groups that are listed by program and client."""

MAX_OWNERS: Final = 50
"""The most pairs of role and database with a separate count: each is a series of the server."""

LOCAL: Final = "[local]"
"""The client of a session over a Unix socket, in the form of PostgreSQL's process list."""

Owner = tuple[str | None, str | None]
"""A role and a database; None is an unknown name."""


@dataclass(frozen=True, slots=True)
class SessionGroup:
    """The sessions of one role, database, program and client; None is unknown.

    The address of the client is unknown if the exporter's role may not see it. The program may
    give itself any `application_name`.
    """

    role: str | None
    database: str | None
    application_name: str | None
    client_address: str | None
    sessions: int


@dataclass(frozen=True, slots=True)
class SessionGroups:
    """The largest groups of a server's client sessions, the largest first.

    All further sessions are `others`. Of all sessions, the exporter's role may not see the clients
    of `hidden`.
    """

    groups: tuple[SessionGroup, ...]
    others: int
    hidden: int


@dataclass(frozen=True, slots=True)
class OwnerSessions:
    """The number of sessions by role and database, the largest first; the rest is `others`."""

    counts: tuple[tuple[Owner, int], ...]
    others: int


def largest_groups(
    found: Sequence[SessionGroup], total: int, hidden: int, server: ConfiguredServer
) -> SessionGroups:
    """Return the largest of the groups, ordered by size, that may be shown."""
    shown = [each for each in found if _may_show((each.role, each.database), server)]
    listed = tuple(shown[:MAX_GROUPS])
    return SessionGroups(listed, total - sum(each.sessions for each in listed), hidden)


def largest_owners(counts: Mapping[Owner, int], server: ConfiguredServer) -> OwnerSessions:
    """Return the roles and databases with most sessions, as far as they may be shown."""
    shown = ((owner, count) for owner, count in counts.items() if _may_show(owner, server))
    listed = tuple(sorted(shown, key=_largest_first)[:MAX_OWNERS])
    return OwnerSessions(listed, sum(counts.values()) - sum(count for _, count in listed))


def add_up(sessions: Iterable[tuple[Owner, int]]) -> Mapping[Owner, int]:
    """Return the number of sessions by role and database."""
    sums: Counter[Owner] = Counter()
    for owner, count in sessions:
        sums[owner] += count
    return sums


def _may_show(owner: Owner, server: ConfiguredServer) -> bool:
    role, database = owner
    return server.shows_role(role) and server.shows_database(database)


def _largest_first(counted: tuple[Owner, int]) -> tuple[int, str, str]:
    (role, database), count = counted
    return -count, role or "", database or ""

"""Convert the sessions of a server to rows by owner, from instrumented programs or others."""

from collections.abc import Mapping
from typing import Any

from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.model.session_groups import (
    MAX_GROUPS,
    OwnerSessions,
    SessionGroup,
    SessionGroups,
)


def session_fields(view: ServerView) -> Mapping[str, Any]:
    """Return the sessions of a server by role and database, and by program; None is unknown."""
    return {
        "sessions_by_owner": _owners(view.owners) if view.owners else None,
        "session_groups": _groups(view.session_groups) if view.session_groups else None,
    }


def _owners(found: OwnerSessions) -> Mapping[str, Any]:
    listed, rest = found.counts[:MAX_GROUPS], found.counts[MAX_GROUPS:]
    return {
        "owners": [
            {"role": role, "database": database, "sessions": count}
            for (role, database), count in listed
        ],
        "others": found.others + sum(count for _, count in rest),
    }


def _groups(found: SessionGroups) -> Mapping[str, Any]:
    return {
        "groups": [_group(group) for group in found.groups],
        "others": found.others,
        "hidden": found.hidden,
    }


def _group(group: SessionGroup) -> Mapping[str, Any]:
    return {
        "role": group.role,
        "database": group.database,
        "application_name": group.application_name,
        "client_address": group.client_address,
        "sessions": group.sessions,
    }

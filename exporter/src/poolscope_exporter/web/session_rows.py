"""Convert the server's data on one session to a row."""

from collections.abc import Mapping
from typing import Any

from poolscope_exporter.core.blocking.root_blockers import transaction_age_s
from poolscope_exporter.core.model.sessions import Session


def session_row(session: Session | None) -> Mapping[str, Any] | None:
    """Return the server's data on a session; None is unknown, ages are seconds."""
    if session is None:
        return None
    return {
        "role": session.user,
        "database": session.database,
        "application_name": session.application_name,
        "client_address": session.client.address if session.client else None,
        "backend_type": session.backend_type,
        "state": session.state,
        "wait_event": event_of(session),
        "state_age_s": _milliseconds(session.state_age_s),
        "transaction_age_s": _milliseconds(transaction_age_s(session)),
        "query_age_s": _milliseconds(session.query_age_s),
    }


def event_of(session: Session) -> str | None:
    """Return the event that a session waits for, as `type/event`; None without one."""
    if session.wait_event_type is None:
        return None
    return f"{session.wait_event_type}/{session.wait_event}"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)

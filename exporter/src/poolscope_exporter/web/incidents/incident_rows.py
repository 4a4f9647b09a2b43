"""Convert incidents to the rows of the API, and to the line of JSON that ends each of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from poolscope_exporter.core.incidents.alert_names import alerts_of
from poolscope_exporter.core.incidents.incident import (
    CallerGroup,
    HolderGroup,
    Incident,
    Moment,
    Peaks,
    ReportedTimeout,
    TimelinePoint,
)
from poolscope_exporter.web.selection import MAX_DIGITS, WrongQueryError

PARAMETERS: Final[Mapping[str, str]] = {
    "service": "Only incidents of this `service.name`.",
    "pool": "Only incidents of pools of this name.",
    "cause": "Only incidents with this cause.",
    "id": "Only the incident with this id.",
    "limit": "Largest number of incidents.",
}

LATEST_S: Final = 253_402_300_799.0
"""The end of the year 9999, after which Python has no date."""

_EVENT_FIELDS: Final = (
    "incident",
    "service",
    "service_namespace",
    "pool",
    "db_namespace",
    "server_address",
    "server_port",
    "cause",
    "alerts",
    "began_at",
    "ended_at",
    "ended_by",
    "lasted_s",
    "peaks",
)


@dataclass(frozen=True, slots=True)
class IncidentSelection:
    """The conditions on incidents, None for no condition, and the largest number of them."""

    service: str | None = None
    pool: str | None = None
    cause: str | None = None
    id: str | None = None
    limit: int | None = None

    def matching_incidents(self, incidents: Iterable[Incident]) -> list[Incident]:
        """Return the matching incidents, without the limit."""
        return [
            each
            for each in incidents
            if self.service in (None, each.pool.service)
            and self.pool in (None, each.pool.pool)
            and self.cause in (None, each.cause)
            and self.id in (None, each.id)
        ]


@dataclass(frozen=True, slots=True)
class ShownIncidents:
    """The incidents that may be shown, the newest first.

    Of further incidents, only the number `left_out` is known. If they survive a restart of the
    exporter, `is_saved` is true.
    """

    incidents: tuple[Incident, ...] = ()
    left_out: int = 0
    is_saved: bool = False


def incident_rows(shown: ShownIncidents, wanted: IncidentSelection) -> dict[str, Any]:
    """Return the rows of the matching incidents, without the fields of every answer."""
    found = wanted.matching_incidents(shown.incidents)
    return {
        "incidents": [incident_row(each) for each in found[: wanted.limit]],
        "matching": len(found),
        "left_out": shown.left_out,
        "is_saved": shown.is_saved,
    }


def incident_selection_of(query: Mapping[str, str]) -> IncidentSelection:
    """Read a query; raise WrongQueryError if it is invalid."""
    strangers = sorted(query.keys() - PARAMETERS.keys())
    if strangers:
        known = ", ".join(PARAMETERS)
        raise WrongQueryError(f"{strangers[0]!r:.80}: unknown parameter; use {known}")
    limit = query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and len(limit) <= MAX_DIGITS):
        raise WrongQueryError(f"limit must be a whole number of at most {MAX_DIGITS} digits")
    texts = {name: query.get(name) for name in ("service", "pool", "cause", "id")}
    return IncidentSelection(**texts, limit=None if limit is None else int(limit))


def incident_row(incident: Incident) -> dict[str, Any]:
    """Return one incident; None is unknown, times are ISO 8601 and durations seconds."""
    pool, is_open = incident.pool, incident.ended is None
    diagnoses = [change.diagnosis for change in incident.changes]
    return {
        "incident": incident.id,
        "service": pool.service,
        "service_namespace": pool.namespace,
        "pool": pool.pool,
        "db_namespace": pool.db_namespace,
        "server_address": pool.server_address,
        "server_port": pool.server_port or None,
        "cause": incident.cause,
        "alerts": list(alerts_of([incident.cause, *diagnoses])),
        "began_at": iso_time(incident.began_at_s),
        "ended_at": None if is_open else iso_time(incident.evidence_at_s),
        "ended_by": incident.ended,
        "lasted_s": round(incident.lasted_s, 3),
        "unobserved_s": round(incident.unobserved_s, 3),
        "peaks": _peaks(incident.peaks),
        "changes": [
            {
                "at": iso_time(change.at_s),
                "diagnosis": change.diagnosis,
                "reason": change.reason,
            }
            for change in incident.changes
        ],
        "changes_left_out": incident.changes_left_out,
        "cause_seconds": {
            cause.value: round(seconds, 3) for cause, seconds in incident.cause_seconds.items()
        },
        "worst": _moment(incident.worst),
        "first_timeout": _moment(incident.first_timeout) if incident.first_timeout else None,
        "timeout_report": _reported(incident.timeout_report),
        "timeline": [_point(each, incident.began_at_s) for each in incident.timeline],
        "step_s": incident.step_s,
    }


def incident_event(incident: Incident) -> dict[str, Any]:
    """Return the line of JSON about an incident that ended: its numbers, and its worst holders."""
    row = incident_row(incident)
    worst = row["worst"]
    return {
        "event": "incident",
        **{name: row[name] for name in _EVENT_FIELDS},
        "reason": next(iter(worst["reasons"]), None),
        "holder": next(iter(worst["holders"]), None),
        "keeping_line": next(iter(worst["keeping_lines"]), None),
    }


def iso_time(seconds: float) -> str:
    """Return seconds since the epoch in ISO 8601; a stored file may have any number."""
    bounded_s = min(max(seconds, 0.0), LATEST_S)
    return datetime.fromtimestamp(bounded_s, UTC).isoformat(timespec="milliseconds")


def _reported(report: ReportedTimeout | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {"at": iso_time(report.at_s), "process": report.process, "text": report.text}


def _peaks(peaks: Peaks) -> dict[str, Any]:
    return {
        "waiting": peaks.waiting,
        "timeouts": peaks.timeouts,
        "failures": peaks.failures,
        "leaked": peaks.leaked,
        "used": peaks.used,
        "processes": peaks.processes,
    }


def _point(point: TimelinePoint, began_at_s: float) -> dict[str, Any]:
    return {
        "at_s": round(point.at_s - began_at_s, 3),
        "diagnosis": point.diagnosis,
        "used": point.used,
        "limit": point.limit,
        "waiting": point.waiting,
    }


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "at": iso_time(moment.at_s),
        "diagnosis": moment.diagnosis,
        "reasons": list(moment.reasons),
        "processes": moment.processes,
        "used": moment.used,
        "limit": moment.limit,
        "waiting": moment.waiting,
        "holders": [_holder(group) for group in moment.holders],
        "more_holders": moment.more_holders,
        "keeping_lines": [
            {"line": group.line, "count": group.count} for group in moment.keeping_lines
        ],
        "waiters": [_caller(group) for group in moment.waiters],
        "more_waiters": moment.more_waiters,
    }


def _holder(group: HolderGroup) -> dict[str, Any]:
    return {
        "verdict": group.verdict,
        "route": group.route,
        "taken_at": group.taken_at,
        "kept_by": group.kept_by,
        "count": group.count,
        "oldest_s": round(group.oldest_s, 3),
        "process": group.process,
        "backend_pids": list(group.backend_pids),
    }


def _caller(group: CallerGroup) -> dict[str, Any]:
    return {
        "phase": group.phase,
        "route": group.route,
        "line": group.line,
        "count": group.count,
        "oldest_s": round(group.oldest_s, 3),
    }

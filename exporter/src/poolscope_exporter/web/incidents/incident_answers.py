"""Document the answer about incidents field by field."""

from pydantic import BaseModel, Field

from poolscope.catalogue import Phase
from poolscope_exporter.core.incidents.incident import IncidentEnd
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.web.api_answers import CommonAnswer


class PeaksRow(BaseModel):
    """The largest numbers of an incident, over all processes of the pool."""

    waiting: int = Field(description="Callers that waited for a connection.")
    timeouts: int = Field(description="Callers that gave up within 30 seconds.")
    failures: int = Field(description="Callers that got an error within 30 seconds.")
    leaked: int = Field(description="Connections that were leaked at one time.")
    used: int = Field(description="Connections that were checked out.")
    processes: int = Field(description="Processes that pushed the pool.")


class CauseChangeRow(BaseModel):
    """A change of the diagnosis during an incident."""

    at: str = Field(description="Time in ISO 8601.")
    diagnosis: Diagnosis = Field(description="Diagnosis from then on.")
    reason: str = Field(description="Its first reason.")


class HolderGroupRow(BaseModel):
    """Checkouts with one verdict that one line took for one route; null is unknown."""

    verdict: Verdict = Field(description="Verdict of these checkouts.")
    route: str | None = Field(description="Route that took the connections.")
    taken_at: str | None = Field(description="Line that took them, as `file:line`.")
    kept_by: str | None = Field(description="Line and call at which the oldest owner was.")
    count: int = Field(description="Number of these checkouts.")
    oldest_s: float = Field(description="Seconds for which the oldest of them had been held.")
    process: str = Field(description="Process of the oldest of them: `pod:pid`, or `host:pid`.")
    backend_pids: list[int] = Field(
        description="Some of their backend PIDs, as the app reports them."
    )


class KeepingGroupRow(BaseModel):
    """One line of code that kept connections."""

    line: str = Field(description="The call and the line, as a phrase.")
    count: int = Field(description="Number of connections that it kept.")


class CallerGroupRow(BaseModel):
    """Callers that waited in one phase at one line for one route; null is unknown."""

    phase: Phase = Field(description="Cause of their wait.")
    route: str | None = Field(description="Route that requested the connections.")
    line: str | None = Field(description="Line that requested them, as `file:line`.")
    count: int = Field(description="Number of these callers.")
    oldest_s: float = Field(description="Seconds for which the oldest of them had waited.")


class MomentRow(BaseModel):
    """A pool at one moment, over all its processes; null is unknown."""

    at: str = Field(description="Time in ISO 8601.")
    diagnosis: Diagnosis = Field(description="Diagnosis at that time.")
    reasons: list[str] = Field(description="Its reasons in sentences with the numbers.")
    processes: int = Field(description="Processes that pushed the pool.")
    used: int | None = Field(description="Connections that were checked out.")
    limit: int | None = Field(description="Most connections that the pools may have.")
    waiting: int | None = Field(description="Callers that waited for a connection.")
    holders: list[HolderGroupRow] = Field(description="Held checkouts, in at most 10 groups.")
    more_holders: int = Field(description="Held checkouts in the other groups.")
    keeping_lines: list[KeepingGroupRow] = Field(
        description="Lines that kept most connections, at most 10."
    )
    waiters: list[CallerGroupRow] = Field(description="Waiting callers, in at most 10 groups.")
    more_waiters: int = Field(description="Listed callers in the other groups.")


class TimeoutReportRow(BaseModel):
    """The report that a process of the app logged of its pool when the first caller gave up."""

    at: str = Field(description="Time in ISO 8601.")
    process: str = Field(description="Process that sent it: `pod:pid`, or `host:pid`.")
    text: str = Field(
        description="Its lines, at most 4,096 characters: the numbers, holders and waiting callers."
    )


class TimelineRow(BaseModel):
    """The worst numbers of one step of an incident's timeline; null is unknown."""

    at_s: float = Field(description="Seconds since the incident began.")
    diagnosis: Diagnosis = Field(description="Worst diagnosis of the step.")
    used: int | None = Field(description="Connections that were checked out.")
    limit: int | None = Field(description="Most connections that the pools may have.")
    waiting: int | None = Field(description="Callers that waited for a connection.")


class IncidentRow(BaseModel):
    """One incident of a service's pool, over all its processes; null is unknown."""

    incident: str = Field(description="Id of the incident, for `poolscope-exporter report`.")
    service: str = Field(description="`service.name`.")
    service_namespace: str = Field(description="`service.namespace`; empty if there is none.")
    pool: str = Field(description="Name of the pool.")
    db_namespace: str = Field(description="Database of the pool.")
    server_address: str = Field(description="Address to which the pool connects.")
    server_port: int | None = Field(description="Port to which the pool connects.")
    cause: Diagnosis = Field(description="Diagnosis that cost callers the most time.")
    alerts: list[str] = Field(description="Names of the alerts for its diagnoses.")
    began_at: str = Field(description="Time of the first evidence in ISO 8601.")
    ended_at: str | None = Field(
        description="Time of the last evidence in ISO 8601; null while the incident is open."
    )
    ended_by: IncidentEnd | None = Field(
        description="Why it counts as ended; null while it is open. With `calm`, no process has a"
        " problem. With `unchanged`, a problem lasts without new evidence. With `silence`, no"
        " process pushes the pool. With `unobserved`, the exporter did not run."
    )
    lasted_s: float = Field(description="Seconds from the first to the last evidence.")
    unobserved_s: float = Field(
        description="Seconds of the incident in which the exporter did not run."
    )
    peaks: PeaksRow
    changes: list[CauseChangeRow] = Field(description="Changes of the diagnosis, in order.")
    changes_left_out: int = Field(
        description="Changes that are not listed because of their number."
    )
    cause_seconds: dict[str, float] = Field(
        description="Seconds of waiting callers by diagnosis; without any caller, plain seconds."
    )
    worst: MomentRow = Field(description="The pool when it was at its worst.")
    first_timeout: MomentRow | None = Field(
        description="The pool when the first time-out was counted; null without a time-out."
    )
    timeout_report: TimeoutReportRow | None = Field(
        default=None,
        description="The first report that the app sent of a time-out; null if none arrived.",
    )
    timeline: list[TimelineRow] = Field(description="Course of the incident in equal steps.")
    step_s: float = Field(description="Seconds of one step of the timeline.")


class IncidentsAnswer(CommonAnswer):
    """The newest incidents, at most 50, the newest first."""

    incidents: list[IncidentRow]
    matching: int = Field(
        description="Number of incidents that match the query, without its limit."
    )
    left_out: int = Field(
        description="Incidents since the start that were not recorded: too many were open."
    )
    is_saved: bool = Field(description="The incidents survive a restart of the exporter.")

"""Document the answers of the API field by field, as schemas that are not run on answers.

The answers of a large fleet are large, so only a test validates them.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from poolscope.catalogue import Evidence, Phase
from poolscope_exporter.core.capacity.headroom import Scope
from poolscope_exporter.core.checks.model import CheckId, Result
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.model.idle_timeouts import IdleSource
from poolscope_exporter.core.model.servers import Privilege, ServerRole
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.web.bouncer_rows import BouncerDatabaseRow, BouncerPoolRow
from poolscope_exporter.web.lock_answers import (
    BlockerRow,
    BlockingCheckoutRow,
    CheckoutPlaceRow,
    NowRow,
    PoolIdentityRow,
    StrangerRow,
)
from poolscope_exporter.web.session_answers import OwnerSessionsRow, SessionGroupsRow

LastSuccess = Annotated[
    float | None,
    Field(description="Seconds since the last successful poll; null before the first."),
]
PgBouncerName = Annotated[
    str | None, Field(description="PgBouncer that the connection goes through, if any.")
]


class CheckoutRow(CheckoutPlaceRow):
    """One connection that is held for a second or longer, or that has evidence of a leak."""

    verdict: Verdict = Field(description="Problem of the checkout.")
    evidence: Evidence | None = Field(description="Why it counts as leaked; null without evidence.")
    pgbouncer: PgBouncerName
    age_s: float = Field(description="Seconds since the connection was taken.")
    server_state: SessionState | None = Field(
        description="`pg_stat_activity.state` of its session; null without a link."
    )
    server_query_age_s: float | None = Field(
        description="Seconds since the session began its current or last statement."
    )
    wait_event: str | None = Field(description="Event that the session waits for, as `type/event`.")
    link: str = Field(
        description="Level of the link from checkout to session, or `unlinked:` and the reason.",
        pattern="^(unlinked:)?[a-z_]+$",
    )
    reason: str | None = Field(description="Why there is no linked session; null if there is one.")
    lasted_s: float | None = Field(description="Seconds for which this reason has applied.")
    confirmed: bool = Field(
        description="A later push proved that the server's answer was about this checkout."
    )
    blocked_by: list[BlockingCheckoutRow | StrangerRow] = Field(
        description="Sessions that hold the lock it waits for."
    )


class ConfigCheckRow(BaseModel):
    """One check of a pool's configuration."""

    check_id: CheckId
    result: Result = Field(
        description="elsewhere = another exporter judges it: this one receives too few processes."
    )
    setting: str = Field(description="Name of the setting in the pool's library.")
    value: float | str | None = Field(description="Value of the setting; null if off or unknown.")
    safe_range: str = Field(description="Range of safe values.")
    cure: str | None = Field(
        description="Change to make, data missing for a result, exporter that judges, or note on"
        " an ok check; null if there is nothing to do."
    )


class WaiterRow(BaseModel):
    """Callers that wait for the same thing at one line for one route; null is unknown."""

    phase: Phase = Field(description="Cause of their wait.")
    route: str | None = Field(description="HTTP route that requests a connection.")
    code_file: str | None = Field(description="File of the line that requests a connection.")
    code_line: int | None = Field(description="The line that requests a connection.")
    code_function: str | None = Field(description="Function around that line.")
    age_s: float = Field(description="Seconds for which the oldest of them had waited at the push.")
    count: int = Field(description="Number of listed callers in this group.")
    now: NowRow | None = Field(
        description="Where the one of them that waits longest is now; null if unknown."
    )


class PodRow(BaseModel):
    """All processes of one service in one pod (or container, or host); null is unknown."""

    kind: str = Field(description="Unit that they share: pod, container or host.")
    processes: int = Field(description="Number of processes with this pool.")
    size: int | None = Field(description="Connections that their pools keep together.")
    max: int | None = Field(description="Connections that their pools may open together.")
    cpu_limit: float | None = Field(description="CPUs that their container may use.")
    memory_limit_bytes: int | None = Field(description="Memory that their container may use.")


class PoolRow(PoolIdentityRow):
    """One pool of one process; null is unknown, or has no meaning for its class."""

    diagnosis: Diagnosis = Field(description="Problem of the pool.")
    is_probable: bool = Field(
        description="No later push has confirmed the samples behind the diagnosis."
    )
    diagnosis_age_s: float | None = Field(
        description="Seconds for which the pool has had this diagnosis."
    )
    reasons: list[str] = Field(description="Explanation in sentences with the numbers.")
    used: int | None = Field(description="Connections that are checked out.")
    idle: int | None = Field(description="Idle connections in the pool.")
    overflow: int | None = Field(description="Open connections beyond the size of the pool.")
    max: int | None = Field(description="Most connections that the pool may have.")
    pending: int | None = Field(description="Callers that wait for a connection.")
    failures_per_minute: float | None = Field(
        description="Callers that gave up or got an error, per minute in the last 30 seconds."
    )
    waiters: list[WaiterRow] | None = Field(
        description="The callers that have waited longest, in at most 10 groups by phase and line."
    )
    waiters_waiting: int | None = Field(
        description="All callers that have waited long enough to be listed."
    )
    waiters_listed: int | None = Field(
        description="Number of these callers that the application described."
    )
    timeouts_total: int | None = Field(description="Callers that gave up since the start.")
    held: int | None = Field(
        description="Checkouts that are held long, or have evidence of a leak."
    )
    listed: int | None = Field(
        description="Number of these checkouts that the application described."
    )
    leaks_total: int | None = Field(description="Leaks since the start.")
    leaks_recovered_total: int | None = Field(
        description="Leaked connections that were returned later."
    )
    size: int | None = Field(description="Connections that the pool keeps.")
    max_overflow: int | None = Field(
        description="Connections that the pool may have beyond its size."
    )
    timeout_s: float | None = Field(description="Longest wait of a caller, in seconds.")
    connect_timeout_s: float | None = Field(
        description="Time limit for opening a connection, in seconds; 0 without a limit."
    )
    create_p95_s: float | None = Field(
        description="Seconds within which 95 % of the connections opened, since the start."
    )
    recycle_s: float | None = Field(description="Seconds after which a connection is replaced.")
    idle_timeout_s: float | None = Field(
        description="Seconds after which the pool closes an unused connection; 0 if it does not."
    )
    server: str | None = Field(description="Configured server that has the pool's sessions.")
    pgbouncer: PgBouncerName
    pod: PodRow | None = Field(description="This pool in all processes of its pod.")
    proxy_idle_timeout_s: float | None = Field(
        description="Seconds after which a proxy or NAT in between ends an unused connection."
    )
    proxy_idle_timeout_source: IdleSource | None = Field(description="Source of this time-out.")
    config_checks: list[ConfigCheckRow]
    created_at: str | None = Field(
        description="Line of the application's code that made the pool, `file:line`."
    )
    generation: int | None = Field(
        description="Number of pools that had this name and its totals, one after another."
    )
    pool_class: str | None = Field(description="Class of the pool.")
    library: str | None = Field(description="Library of the pool.")


class HeadroomRow(BaseModel):
    """The tightest limit, and the number of further connections that it admits."""

    free: int = Field(description="Number of further connections that it admits.")
    tightest: Scope = Field(description="Kind of the tightest limit.")
    name: str = Field(
        description="Role, database or pool of the limit; empty if it is for all, or if withheld."
    )
    limit: int
    used: int


class RoomRow(BaseModel):
    """The number of further pods of a service that fit, if every pool grows to its maximum."""

    service: str = Field(description="`service.name`.")
    service_namespace: str = Field(description="`service.namespace`; empty if there is none.")
    kind: str = Field(description="Counted unit: pod, container, host or process.")
    pods: int = Field(description="Number of running units.")
    connections: int | None = Field(
        description="Connections that the largest of them may open; null without a limit."
    )
    more: int | None = Field(
        description="Number of further units of that size that fit; null if unknown."
    )


class ServerRow(BaseModel):
    """One configured PostgreSQL server; null is unknown."""

    server: str = Field(description="Configured name.")
    up: bool = Field(description="The last poll succeeded.")
    reason: str | None = Field(description="Why it did not.")
    last_success_age_s: LastSuccess
    version_num: int | None = Field(description="`server_version_num`.")
    in_recovery: bool | None = Field(description="The server was a replica when it was identified.")
    place: ServerRole | None = Field(description="Role of the server in its cluster.")
    role: str | None = Field(description="Role that the exporter logs in as.")
    privilege: Privilege | None = Field(description="Access of that role to other roles' sessions.")
    connections: dict[str, int] | None = Field(description="Client sessions by state.")
    limit: int | None = Field(description="Sessions that ordinary roles may have together.")
    headroom: HeadroomRow | None
    room_for_pods: list[RoomRow]
    left_out: int | None = Field(
        description="Held checkouts that the last poll left out because too many were held."
    )
    sessions_by_owner: OwnerSessionsRow | None
    session_groups: SessionGroupsRow | None


class PgBouncerRow(BaseModel):
    """One PgBouncer; null is unknown."""

    pgbouncer: str = Field(description="Name of the PgBouncer: host and port of its console.")
    up: bool = Field(description="The last poll succeeded.")
    reason: str | None = Field(description="Why it did not.")
    last_success_age_s: LastSuccess
    version: str | None
    clients: dict[str, int] | None = Field(description="Clients by state.")
    timeouts_s: dict[str, float] | None = Field(
        description="Time-outs in seconds, by name; 0 for none."
    )
    is_one_of_several: bool = Field(description="Other processes share its port.")
    paused: list[str] = Field(description="Databases that are paused.")
    pools: list[BouncerPoolRow] | None = Field(description="Its pools, by database and user.")
    databases: list[BouncerDatabaseRow] | None = Field(description="Counts of its databases.")
    potential_clients: int | None = Field(
        description="Connections that its client pools may open; null if one has no limit."
    )
    headroom: HeadroomRow | None
    room_for_pods: list[RoomRow]


class WithheldCounts(BaseModel):
    """The number of known checkouts and pools of databases or roles that may not be shown."""

    checkouts: int
    pools: int


class CommonAnswer(BaseModel):
    """The fields of every answer: the state of the servers and PgBouncers, and the time."""

    servers: list[ServerRow]
    pgbouncers: list[PgBouncerRow]
    role: Role = Field(description="Whether the exporter judges a fleet or only its own pod.")
    withheld: WithheldCounts
    taken_at: str = Field(description="Time of the answer in ISO 8601, by the exporter's clock.")


class CheckoutsAnswer(CommonAnswer):
    """Every held checkout, the longest held first."""

    checkouts: list[CheckoutRow]
    matching: int = Field(
        description="Number of checkouts that match the query, without its limit."
    )


class RejectedRow(BaseModel):
    """The data of one sender that was rejected for one reason within the last ten minutes."""

    sender: str = Field(description="Service, or owner of the token.")
    reason: str = Field(description="Reason, as in poolscope_receiver_refused_total.")
    count: int = Field(description="Rejected points, checkouts and callers since the start.")
    metric: str | None = Field(description="One rejected metric; null if unknown.")
    last_age_s: float = Field(description="Seconds since the last of them arrived.")


class PoolsAnswer(CommonAnswer):
    """Every pool of every process that pushes here, by name."""

    pools: list[PoolRow]
    matching: int = Field(description="Number of pools that match the query, without its limit.")
    rejected: list[RejectedRow] = Field(
        description="Data that senders pushed and that was not kept, in the last ten minutes."
    )


class BlockersAnswer(CommonAnswer):
    """Every session that keeps others waiting for a lock, the one with the longest queue first."""

    blockers: list[BlockerRow]
    matching: int = Field(description="Number of blockers that match the query, without its limit.")

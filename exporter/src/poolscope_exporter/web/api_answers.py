"""Document the answers of the API, field by field: schemas for readers, never run on an answer.

Answers of a large fleet are large, so nothing validates them at run time; a test does.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from poolscope.catalogue import Evidence, Phase
from poolscope_exporter.core.capacity.headroom import Scope
from poolscope_exporter.core.capacity.idle_timeouts import IdleSource
from poolscope_exporter.core.checks.model import CheckId, Result
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.model.servers import Privilege, ServerRole
from poolscope_exporter.core.model.sessions import SessionState

BackendPid = Annotated[int, Field(description="PID of the PostgreSQL backend.")]
LastSuccess = Annotated[
    float | None, Field(description="Seconds since the last successful poll; null before it.")
]
PgBouncerName = Annotated[
    str | None, Field(description="PgBouncer that the connection goes through, if any.")
]


class PoolIdentityRow(BaseModel):
    """What names a pool and its process."""

    service: str = Field(description="`service.name` of the process.")
    service_namespace: str = Field(description="`service.namespace`; empty where there is none.")
    service_instance_id: str = Field(description="`service.instance.id` of the process.")
    pool: str = Field(description="Name of the pool.")
    db_namespace: str = Field(description='Database, or "database|schema".')
    server_address: str = Field(description="Address that the application is configured with.")
    server_port: int | None = Field(description="Port of that address; null where not sent.")


class CheckoutPlaceRow(PoolIdentityRow):
    """One checkout: who took the connection, and at which line of code."""

    checkout_id: int = Field(description="Never used twice within a process.")
    route: str | None = Field(description="HTTP route that took the connection.")
    code_file: str | None = Field(description="File of the line that took the connection.")
    code_line: int | None = Field(description="The line that took the connection.")
    code_function: str | None = Field(description="Function around that line.")
    backend_pid: int | None = Field(
        description="PID of the PostgreSQL backend; null where it is not known."
    )
    trace_id: str | None = Field(description="Trace that the connection was taken in.")


class StrangerRow(BaseModel):
    """A session that holds a lock, of a connection that no known checkout holds."""

    backend_pid: BackendPid


class CheckoutRow(CheckoutPlaceRow):
    """One connection that is held for a second or longer, or that has evidence of a leak."""

    verdict: Verdict = Field(description="What is the matter with it.")
    evidence: Evidence | None = Field(description="Why it counts as leaked; null for no evidence.")
    pgbouncer: PgBouncerName
    age_s: float = Field(description="Seconds since the connection was taken.")
    server_state: SessionState | None = Field(
        description="`pg_stat_activity.state` of its session; null where it has no link."
    )
    server_query_age_s: float | None = Field(
        description="Seconds since the session began its current or last statement."
    )
    wait_event: str | None = Field(description="What the session waits for, as `type/event`.")
    link: str = Field(
        description="What links checkout and session, or `unlinked:` and the reason.",
        pattern="^(unlinked:)?[a-z_]+$",
    )
    reason: str | None = Field(description="Why there is no session; null where there is one.")
    lasted_s: float | None = Field(description="Seconds for which that reason has held.")
    confirmed: bool = Field(
        description="A later push showed that the answer of the server was about this checkout."
    )
    blocked_by: list[CheckoutPlaceRow | StrangerRow] = Field(
        description="Sessions that hold the lock it waits for."
    )


class ConfigCheckRow(BaseModel):
    """One check of how a pool is configured."""

    check_id: CheckId
    result: Result
    setting: str = Field(description="Name of the setting, as the pool's library spells it.")
    value: float | str | None = Field(description="What is configured; null for off or not known.")
    safe_range: str = Field(description="What the value should be.")
    cure: str | None = Field(description="What to change; null where all is well.")


class WaiterRow(BaseModel):
    """Callers that wait for one thing at one line for one route; null is unknown."""

    phase: Phase = Field(description="What they wait for.")
    route: str | None = Field(description="HTTP route that asks for a connection.")
    code_file: str | None = Field(description="File of the line that asks for a connection.")
    code_line: int | None = Field(description="The line that asks for a connection.")
    code_function: str | None = Field(description="Function around that line.")
    age_s: float = Field(description="Seconds that the oldest of them had waited at the push.")
    count: int = Field(description="How many of the listed callers they are.")


class PoolRow(PoolIdentityRow):
    """One pool of one process; null is unknown, or has no meaning for its class."""

    diagnosis: Diagnosis = Field(description="What is the matter with the pool.")
    reasons: list[str] = Field(description="Why, in sentences with the numbers.")
    used: int | None = Field(description="Connections that are checked out.")
    idle: int | None = Field(description="Connections that lie in the pool.")
    max: int | None = Field(description="Most connections that the pool may have.")
    pending: int | None = Field(description="Callers that wait for a connection.")
    waiters: list[WaiterRow] | None = Field(
        description="Those that have waited longest, by what they wait for and where."
    )
    timeouts_total: int | None = Field(description="Callers that gave up, since the start.")
    held: int | None = Field(description="Checkouts that are old, or have evidence of a leak.")
    listed: int | None = Field(description="Those of them that the application described.")
    leaks_total: int | None = Field(description="Leaks since the start.")
    leaks_recovered_total: int | None = Field(description="Leaks that were returned after all.")
    size: int | None = Field(description="Connections that the pool keeps.")
    max_overflow: int | None = Field(description="Connections that it may have beyond its size.")
    timeout_s: float | None = Field(description="Seconds that a caller waits at most.")
    recycle_s: float | None = Field(description="Seconds after which a connection is replaced.")
    server: str | None = Field(description="Configured server that has the pool's sessions.")
    pgbouncer: PgBouncerName
    proxy_idle_timeout_s: float | None = Field(
        description="Seconds after which a proxy on the way closes an unused connection."
    )
    proxy_idle_timeout_source: IdleSource | None = Field(description="Where that is known from.")
    config_checks: list[ConfigCheckRow]
    pool_class: str | None = Field(description="Class of the pool.")
    library: str | None = Field(description="Library of the pool.")


class HeadroomRow(BaseModel):
    """The tightest limit, and how many more it admits."""

    free: int = Field(description="How many more it admits.")
    tightest: Scope = Field(description="What the tightest limit bounds.")
    name: str = Field(
        description="Of which role, database or pool; empty for the whole, or if withheld."
    )
    limit: int
    used: int


class ServerRow(BaseModel):
    """One configured PostgreSQL server; null is unknown."""

    server: str = Field(description="Configured name.")
    up: bool = Field(description="The last poll succeeded.")
    reason: str | None = Field(description="Why it did not.")
    last_success_age_s: LastSuccess
    version_num: int | None = Field(description="`server_version_num`.")
    in_recovery: bool | None = Field(description="It was a replica when it was identified.")
    place: ServerRole | None = Field(description="What it is to its cluster.")
    role: str | None = Field(description="Role that the exporter logs in as.")
    privilege: Privilege | None = Field(description="How much that role may see of other roles.")
    connections: dict[str, int] | None = Field(description="Client sessions by their state.")
    limit: int | None = Field(description="Sessions that ordinary roles may have together.")
    headroom: HeadroomRow | None


class PgBouncerRow(BaseModel):
    """One PgBouncer; null is unknown."""

    pgbouncer: str = Field(description="Its name: host and port of its console.")
    up: bool = Field(description="The last poll succeeded.")
    reason: str | None = Field(description="Why it did not.")
    last_success_age_s: LastSuccess
    version: str | None
    clients: dict[str, int] | None = Field(description="Clients by their state.")
    timeouts_s: dict[str, float] | None = Field(
        description="Its time-outs in seconds, by name; 0 for none."
    )
    is_one_of_several: bool = Field(description="Other processes share its port.")
    paused: list[str] = Field(description="Databases that are paused.")
    potential_clients: int | None = Field(
        description="Connections that the pools before it may open; null where one has no limit."
    )
    headroom: HeadroomRow | None


class WithheldCounts(BaseModel):
    """How much is known and not shown: of databases or roles that may not be shown."""

    checkouts: int
    pools: int


class CommonAnswer(BaseModel):
    """What every answer has: how the servers and PgBouncers are, and as of when."""

    servers: list[ServerRow]
    pgbouncers: list[PgBouncerRow]
    role: Role = Field(description="Whether the exporter judges a fleet, or its own pod alone.")
    withheld: WithheldCounts
    taken_at: str = Field(description="When, in ISO 8601, by the exporter's clock.")


class CheckoutsAnswer(CommonAnswer):
    """Every held checkout, the longest held first."""

    checkouts: list[CheckoutRow]


class PoolsAnswer(CommonAnswer):
    """Every pool of every process that pushes here, by name."""

    pools: list[PoolRow]

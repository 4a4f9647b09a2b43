"""Document the sessions in lock queues, and the pools and lines that use their connections."""

from typing import Annotated

from pydantic import BaseModel, Field

from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.model.sessions import SessionState

BackendPid = Annotated[int, Field(description="PID of the PostgreSQL backend.")]
LastCheckout = Annotated[
    "CheckoutPlaceRow | None",
    Field(
        description="Last listed checkout on the connection, if it is idle in its pool; a later one"
        " may have been too short to be listed."
    ),
]


class PoolIdentityRow(BaseModel):
    """The identity of a pool and its process."""

    service: str = Field(description="`service.name` of the process.")
    service_namespace: str = Field(description="`service.namespace`; empty if there is none.")
    service_instance_id: str = Field(description="`service.instance.id` of the process.")
    process: str = Field(description="Name of the process: `pod:pid`, or `host:pid`.")
    pool: str = Field(description="Name of the pool.")
    db_namespace: str = Field(description='Database, or "database|schema".')
    server_address: str = Field(description="Address that the application is configured with.")
    server_port: int | None = Field(description="Port of that address; null if not sent.")


class NowRow(BaseModel):
    """The place in the code at which an owner was at the last look; null is unknown."""

    summary: str = Field(description="The call and the line in words.")
    code_file: str | None = Field(description="File of the line at which the owner is.")
    code_line: int | None = Field(description="The line at which the owner is.")
    code_function: str | None = Field(description="Function around that line.")
    call: str | None = Field(
        description="Function of a library that was called there; null if the code itself runs."
    )
    looks: int = Field(description="Number of looks in a row that found this.")
    age_s: float = Field(description="Seconds from the first of these looks to the push.")


class CheckoutPlaceRow(PoolIdentityRow):
    """One checkout: its owner, and the line of code that took the connection."""

    checkout_id: int = Field(description="Id of the checkout, unique within its process.")
    route: str | None = Field(description="HTTP route that took the connection.")
    code_file: str | None = Field(description="File of the line that took the connection.")
    code_line: int | None = Field(description="The line that took the connection.")
    code_function: str | None = Field(description="Function around that line.")
    backend_pid: int | None = Field(description="PID of the PostgreSQL backend; null if unknown.")
    trace_id: str | None = Field(description="Id of the trace in which the connection was taken.")
    now: NowRow | None = Field(description="Where the owner is now; null if unknown.")


class SessionRow(BaseModel):
    """The server's data on one session; null is unknown, or may not be shown."""

    role: str | None = Field(description="Role that the session logged in as.")
    database: str | None = Field(description="Database of the session.")
    application_name: str = Field(description="`application_name`; empty if none is set.")
    client_address: str | None = Field(description="Address of the client; null for a Unix socket.")
    backend_type: str | None = Field(description="`pg_stat_activity.backend_type`.")
    state: SessionState | None = Field(description="`pg_stat_activity.state`.")
    wait_event: str | None = Field(description="Event that the session waits for, as `type/event`.")
    state_age_s: float | None = Field(description="Seconds for which it has had this state.")
    transaction_age_s: float | None = Field(
        description="Seconds since its transaction began, or since it was aborted."
    )
    query_age_s: float | None = Field(
        description="Seconds since the session began its current or last statement."
    )


class BlockingCheckoutRow(CheckoutPlaceRow):
    """A known checkout with a session that holds a lock."""

    session: SessionRow | None = Field(description="The session; null if it was not queried.")


class StrangerRow(BaseModel):
    """A session that holds a lock, with a connection that no known checkout holds."""

    backend_pid: BackendPid
    idle_in: PoolIdentityRow | None = Field(
        description="Pool with this session's idle connection, which has an unreleased advisory"
        " lock; null for any other session."
    )
    last_checkout: LastCheckout
    session: SessionRow | None = Field(description="The session; null if it was not queried.")


class LockPartyRow(BaseModel):
    """A session of a lock queue, and the code that uses its connection; null is unknown."""

    backend_pid: int | None = Field(
        description="PID of the PostgreSQL backend; null for a prepared transaction."
    )
    session: SessionRow | None = Field(description="The session; null if there is none.")
    pool: PoolIdentityRow | None = Field(description="Pool that the connection belongs to.")
    checkout: CheckoutPlaceRow | None = Field(description="Known checkout that holds it.")
    is_idle_in_pool: bool = Field(
        description="The connection is idle in its pool: its last user did not release a"
        " session-level advisory lock."
    )
    last_checkout: LastCheckout


class LockWaiterRow(LockPartyRow):
    """A session that waits for a lock."""

    depth: int = Field(description="Number of steps to the root.")
    behind: int = Field(
        description="PID of the session that it waits for, one step nearer to the root; 0 for a"
        " prepared transaction."
    )
    also_behind: list[int] = Field(
        description="PIDs of other sessions that it waits for; they may have another root."
    )


class BlockerRow(LockPartyRow):
    """The root of a lock queue: a session that keeps others waiting."""

    server: str = Field(description="Configured server.")
    kind: RootKind = Field(
        description="holder = waits for no lock; deadlock = one of several sessions that wait for"
        " each other; unknown = not queried, may wait as well."
    )
    waiting: int = Field(description="Sessions that are known to wait behind it.")
    unasked: int = Field(
        description="Further sessions of the server that wait for a lock, behind this or another"
        " session."
    )
    terminate: str | None = Field(
        description="Statement that ends the session; null if it has none, or in a deadlock, which"
        " PostgreSQL resolves itself."
    )
    queue: list[LockWaiterRow] = Field(
        description="The waiting sessions in the order of the tree: a session follows its `behind`,"
        " not always directly."
    )

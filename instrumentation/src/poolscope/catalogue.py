"""Define the name of each metric, attribute and value that poolscope sends, once.

The `db.client.connection.*` names are from the OpenTelemetry semantic conventions. All others are
poolscope's, under `poolscope.`. The exporter, its dashboards and its alerts take their names from
here. No gauge has the unit `1`: the translation to Prometheus would append `_ratio`.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

SCOPE = "poolscope"
"""Instrumentation scope of the aggregates, which any OpenTelemetry backend may store."""

PUSH_SCOPE = "poolscope.push"
"""Instrumentation scope of data for the exporter alone: elsewhere its cardinality has no bound."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"


class Kind(Enum):
    """The kind of instrument that records a metric."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "up_down_counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the wire format; `attributes` are those in addition to the pool's identity."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    scope: str = SCOPE


class Evidence(StrEnum):
    """The reason why a checkout counts as a leak."""

    REQUEST_FINISHED = "request_finished"
    JOB_FINISHED = "job_finished"
    """A job has ended: the task of a queue, a command, or a block that the application declares."""
    TASK_FINISHED = "task_finished"
    THREAD_FINISHED = "thread_finished"
    THREAD_IDLE = "thread_idle"
    """The thread that took it is alive, but waits for its next job: it runs no application code."""
    GARBAGE_COLLECTED = "garbage_collected"


EVIDENCE_AFTER_S: dict[Evidence, float] = {
    Evidence.REQUEST_FINISHED: 2.0,
    Evidence.JOB_FINISHED: 2.0,
    Evidence.TASK_FINISHED: 30.0,
    Evidence.THREAD_FINISHED: 30.0,
    Evidence.THREAD_IDLE: 30.0,
    Evidence.GARBAGE_COLLECTED: 0.0,
}
"""How long a checkout must stay out, after its owner has ended, until it counts as a leak.

For `thread_idle`, this is the time for which the thread does nothing.
"""


class OwnerKind(StrEnum):
    """The kind of owner of a checkout; `long_lived` is declared by the application."""

    REQUEST = "request"
    JOB = "job"
    TASK = "task"
    THREAD = "thread"
    LONG_LIVED = "long_lived"


class UnitKind(StrEnum):
    """The kind of work for which a connection was taken; the name of a request is its route."""

    REQUEST = "request"
    JOB = "job"
    """The task of a queue, the job of a scheduler, or a block that the application declares."""
    COMMAND = "command"
    """A management command: it may run other units of work, each with its own end."""


class ConnectionState(StrEnum):
    """Values of `db.client.connection.state`."""

    IDLE = "idle"
    USED = "used"


class FailureReason(StrEnum):
    """The reason why a request for a connection failed."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    ERROR = "error"


ACQUIRED = "acquired"
"""The outcome of a wait that ended with a connection; other outcomes are a `FailureReason`."""


class CloseReason(StrEnum):
    """The reason why a connection left its pool: it was closed by the pool, or detached."""

    INVALIDATED = "invalidated"
    RECYCLED = "recycled"
    """It was too old, had run its number of queries, or was replaced on request."""
    IDLE = "idle"
    """It was unused for as long as the pool allows."""
    OVERFLOW = "overflow"
    """It was returned to a pool that keeps no more connections."""
    NOT_POOLED = "not_pooled"
    DETACHED = "detached"
    OTHER = "other"


class InvalidationReason(StrEnum):
    """The reason why a connection was invalidated."""

    PING = "ping"
    """Pre-ping found a dead socket."""
    LOST_WHILE_IDLE = "lost_while_idle"
    """The driver noticed the loss while the connection was idle in its pool."""
    CANCELLED = "cancelled"
    """The caller was interrupted."""
    REQUESTED = "requested"
    """The application asked for it."""
    IDLE_IN_TRANSACTION_TIMEOUT = "idle_in_transaction_timeout"
    """The server's setting of this name ended the session, or PgBouncer's."""
    IDLE_SESSION_TIMEOUT = "idle_session_timeout"
    """The server's setting of this name ended the session, or PgBouncer's."""
    TRANSACTION_TIMEOUT = "transaction_timeout"
    """The server's setting of this name ended the session, or PgBouncer's."""
    ADMIN = "admin"
    """An administrator, a shutdown or a crash ended the session."""
    TIMEOUT = "timeout"
    """A statement reached the driver's time limit, and the connection was dropped."""
    BROKEN = "broken"
    """Client and server no longer understand each other."""
    SOCKET = "socket"
    """The connection was closed or reset below the client and the server."""
    ERROR = "error"
    """No driver reports the reason."""


class SharedReason(StrEnum):
    """The sign that a connection or session has more than one user."""

    ERROR = "error"
    """The driver or the session raised an error because of it."""
    AT_ONCE = "at_once"
    """A statement began while another one ran."""
    REQUESTS = "requests"
    """Another request used it before its first request ended, or a third request used it."""
    TASKS = "tasks"
    """Two tasks that had not ended took turns."""


class SessionErrorKind(StrEnum):
    """The way in which an attribute of an ORM object could not be loaded, often after a commit."""

    MISSING_GREENLET = "missing_greenlet"
    """On an `AsyncSession`, without `await`."""
    DETACHED = "detached"
    """After its session was closed."""


class ServingAge(StrEnum):
    """How long a process has served requests with a pool, since the first of these requests."""

    FIRST_MINUTE = "first_minute"
    LATER = "later"


class ConnectErrorKind(StrEnum):
    """The way in which opening a connection failed."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    """No route, no local address, or a firewall of this host in the way."""
    TIMEOUT = "timeout"
    NAME_RESOLUTION = "name_resolution"
    RESET = "reset"
    """The server closed the connection without an answer."""
    TLS = "tls"
    NOT_READY = "not_ready"
    """The server answers that it takes no connections now.

    It starts, stops or recovers, or is not the server that `target_session_attrs` requires. Or it
    is a PgBouncer that cannot reach its server.
    """
    AUTHENTICATION = "authentication"
    """The server rejects the role: password, right to log in or to connect, or pg_hba.conf."""
    UNKNOWN_DATABASE = "unknown_database"
    WRONG_SETTING = "wrong_setting"
    """The server or the driver rejects a parameter."""
    TOO_MANY_CONNECTIONS = "too_many_connections"
    OTHER = "other"


class Effect(StrEnum):
    """The meaning of a counter's growth for the callers of the pool."""

    HURTS = "hurts"
    """Callers failed or lost time, so the pool is not healthy."""
    FINDING = "finding"
    """Misuse, or an accident that ended well; it is shown next to the diagnosis."""
    TRAFFIC = "traffic"
    """Ordinary work."""


class Phase(StrEnum):
    """The phase of a wait: a place in the pool, a new connection, a liveness check or a reset."""

    QUEUE = "queue"
    CONNECT = "connect"
    PING = "ping"
    RESET = "reset"


class StatementSetting(StrEnum):
    """The driver's settings that make prepared statements outlive a transaction."""

    STATEMENT_CACHE_SIZE = "statement_cache_size"
    """asyncpg keeps statements on its connection."""
    PREPARED_STATEMENT_CACHE_SIZE = "prepared_statement_cache_size"
    """SQLAlchemy's dialect for asyncpg keeps statements; unnamed ones are harmless."""
    PREPARE_THRESHOLD = "prepare_threshold"
    """psycopg prepares statements that are executed often."""
    PREPARED_MAX = "prepared_max"
    """psycopg drops further statements with DEALLOCATE, because its libpq cannot close them."""


class Doing(StrEnum):
    """The activity of a connection's owner; any other value is the library's call it waits in."""

    DATABASE = "database"
    """It waits in a library that talks to the database."""
    APPLICATION = "application"
    """It computes in the application's code."""
    UNKNOWN = "unknown"
    """Its stack cannot be read."""


class Publisher(StrEnum):
    """The publisher of the aggregates of a push, so that every series exists once."""

    EXPORTER = "exporter"
    PROVIDER = "provider"


OTHER = "other"
"""The route and call site of everything beyond a limit."""

# Identity of a process (resource attributes).
SERVICE_NAMESPACE = "service.namespace"
SERVICE_NAME = "service.name"
SERVICE_INSTANCE_ID = "service.instance.id"
SERVICE_VERSION = "service.version"
HOST_NAME = "host.name"
K8S_NAMESPACE_NAME = "k8s.namespace.name"
K8S_POD_NAME = "k8s.pod.name"
CONTAINER_ID = "container.id"
PROCESS_PID = "process.pid"
CONTAINER_CPU_LIMIT = "poolscope.container.cpu_limit"
CONTAINER_MEMORY_LIMIT = "poolscope.container.memory_limit"

# Identity of a pool (attributes of each of its points).
POOL_NAME = "db.client.connection.pool.name"
DB_NAMESPACE = "db.namespace"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
POOL_IDENTITY = (POOL_NAME, DB_NAMESPACE, SERVER_ADDRESS, SERVER_PORT)

# Attributes of single metrics.
CONNECTION_STATE = "db.client.connection.state"
DB_SYSTEM_NAME = "db.system.name"
HTTP_ROUTE = "http.route"
REASON = "poolscope.reason"
KIND = "poolscope.kind"
PHASE = "poolscope.phase"
EVIDENCE = "poolscope.evidence"
CALL_SITE = "poolscope.call_site"
USED_AT = "poolscope.used_at"
SERVING_AGE = "poolscope.serving_age"
POOL_CLASS = "poolscope.pool.class"
POOL_IS_GONE = "poolscope.pool.is_gone"
LIBRARY = "poolscope.library"
SETTING = "poolscope.setting"

# Attributes of a held checkout.
CHECKOUT_ID = "poolscope.checkout.id"
BACKEND_PID = "poolscope.backend.pid"
BACKEND_PIDS = "poolscope.backend.pids"
LOCAL_ADDRESS = "network.local.address"
LOCAL_PORT = "network.local.port"
PEER_ADDRESS = "network.peer.address"
PEER_PORT = "network.peer.port"
CONNECTION_AGE = "poolscope.connection.age"
CODE_FILE_PATH = "code.file.path"
CODE_LINE_NUMBER = "code.line.number"
CODE_FUNCTION_NAME = "code.function.name"
OWNER_KIND = "poolscope.owner.kind"
UNIT_KIND = "poolscope.unit.kind"
UNIT_NAME = "poolscope.unit.name"
TRACE_ID = "poolscope.trace_id"

# The place at which the owner of a checkout is now, or a waiting caller.
NOW_FILE_PATH = "poolscope.now.file.path"
NOW_LINE_NUMBER = "poolscope.now.line.number"
NOW_FUNCTION_NAME = "poolscope.now.function.name"
NOW_CALL = "poolscope.now.call"
NOW_LOOKS = "poolscope.now.looks"
NOW_AGE = "poolscope.now.age"
NOW = (NOW_FILE_PATH, NOW_LINE_NUMBER, NOW_FUNCTION_NAME, NOW_CALL, NOW_LOOKS, NOW_AGE)
"""The last looks in a row that found the same, and the seconds since the first of them."""

# What a connection that was out was used for.
TAKEN_AT = "poolscope.taken_at"
NOW_AT = "poolscope.now.at"
DOING = "poolscope.doing"

# The span of a slow wait, and its attribute.
ACQUIRE_SPAN = "db.client.connection.acquire"
OUTCOME = "poolscope.outcome"

# Attribute of a waiting caller.
WAITER_ID = "poolscope.waiter.id"

# Attribute of the report of a time-out.
TIMEOUT_TEXT = "poolscope.timeout.text"

# Attributes of a stall of an event loop.
STALL_IS_OVER = "poolscope.event_loop.stall.is_over"
BLOCKED_TIME = "poolscope.event_loop.stall.blocked_time"
THREAD_NAME = "thread.name"

# Attributes of a push.
PUSH_INTERVAL = "poolscope.push.interval"
PUSH_END = "poolscope.push.end"
PUSH_PUBLISHER = "poolscope.push.publisher"
PUSH_PRESSURE = "poolscope.push.pressure"
PUSH_PARTIAL = "poolscope.push.partial"
PUSH_VERSION = "poolscope.push.version"

WIRE_VERSION = 1
"""The version of the push scope: raised if an older exporter would misread a push.

A new attribute or metric does not raise it, because every exporter ignores an unknown one.
"""

FASTEST_PUSH_S = 1.0
"""Seconds between two pushes of a process under pressure, unless the exporter asks for more."""

INTERVAL_HEADER = "Poolscope-Push-Interval"
"""Response header: the seconds that a process under pressure must wait between two pushes."""

# Bounds contain every threshold of the documented guides: 2 ms (ping), 0.5 s (T1), 2 s (T5),
# 10 and 30 s (C3).
WAIT_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
USE_BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
PING_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.5)


def _count(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(name, Kind.COUNTER, unit, description, attributes)


def _up_down(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(name, Kind.UP_DOWN_COUNTER, unit, description, attributes)


def _gauge(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(name, Kind.GAUGE, unit, description, attributes)


def _time(name: str, description: str, bounds: tuple[float, ...]) -> Metric:
    return Metric(name, Kind.HISTOGRAM, "s", description, (), bounds)


def _for_exporter(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(name, Kind.GAUGE, unit, description, attributes, scope=PUSH_SCOPE)


# The metrics of the semantic conventions, and two more on waiting callers.
COUNT = _up_down(
    "db.client.connection.count",
    "{connection}",
    "Open connections of the pool, by whether they are checked out.",
    CONNECTION_STATE,
)
MAX = _up_down(
    "db.client.connection.max",
    "{connection}",
    "Most connections that the pool may open; absent if it has no limit.",
)
IDLE_MAX = _up_down(
    "db.client.connection.idle.max",
    "{connection}",
    "Most idle connections that the pool keeps; absent if it has no limit.",
)
IDLE_MIN = _up_down(
    "db.client.connection.idle.min",
    "{connection}",
    "Fewest idle connections that the pool keeps.",
)
PENDING_REQUESTS = _up_down(
    "db.client.connection.pending_requests",
    "{request}",
    "Callers that are blocked, waiting for a connection.",
)
PENDING = _up_down(
    "poolscope.pending",
    "{request}",
    "Callers that wait, by phase of the wait.",
    PHASE,
)
PENDING_AGE = _gauge(
    "poolscope.pending.age",
    "s",
    "How long the oldest caller has waited, by phase of the wait; 0 if nobody waits.",
    PHASE,
)
TIMEOUTS = _count(
    "db.client.connection.timeouts",
    "{timeout}",
    "Callers that gave up waiting for a connection after the pool's time-out.",
)
CREATE_TIME = _time(
    "db.client.connection.create_time", "Time to open a new connection to the server.", WAIT_BOUNDS
)
WAIT_TIME = _time(
    "db.client.connection.wait_time",
    "Time from asking for a connection to getting it, including queueing, opening and pinging.",
    WAIT_BOUNDS,
)
USE_TIME = _time(
    "db.client.connection.use_time", "Time from getting a connection to returning it.", USE_BOUNDS
)

# Traffic.
CHECKOUTS = _count("poolscope.checkouts", "{checkout}", "Connections handed out.")
CHECKINS = _count(
    "poolscope.checkins",
    "{checkin}",
    "Checkouts that ended: returned, detached, invalidated or collected.",
)
QUEUE_TIME = _time(
    "poolscope.queue_time",
    "Time that callers were blocked in the pool's queue, including time-outs and cancellations.",
    WAIT_BOUNDS,
)
PING_TIME = _time(
    "poolscope.ping_time", "Time of the liveness check before a checkout (pre-ping).", PING_BOUNDS
)
OPENED = _count("poolscope.connections.opened", "{connection}", "Connections opened.")
CLOSED = _count(
    "poolscope.connections.closed", "{connection}", "Connections that left the pool.", REASON
)
INVALIDATED = _count(
    "poolscope.connections.invalidated", "{connection}", "Connections invalidated.", REASON
)
CONNECT_ERRORS = _count(
    "poolscope.connect.errors", "{error}", "Failed attempts to open a connection.", KIND
)
CHECKOUT_FAILURES = _count(
    "poolscope.checkout.failures",
    "{failure}",
    "Requests for a connection that ended without one.",
    REASON,
)
BLOCKING_CHECKOUTS = _count(
    "poolscope.blocking_checkouts",
    "{checkout}",
    "Requests for a connection of a synchronous pool by a thread that runs an event loop.",
)
NESTED_CHECKOUTS = _count(
    "poolscope.nested_checkouts",
    "{checkout}",
    "Requests for a connection that were blocked while their owner held one of the same pool.",
)
SHARED_CONNECTIONS = _count(
    "poolscope.shared_connections",
    "{use}",
    "Uses of a connection or session that another request, task or thread uses too.",
    REASON,
    CALL_SITE,
    USED_AT,
)
INHERITED_CHECKOUTS = _count(
    "poolscope.inherited_checkouts",
    "{checkout}",
    "Checkouts of connections that another process opened before a fork.",
)
FOREIGN_LOOP_CHECKOUTS = _count(
    "poolscope.foreign_loop_checkouts",
    "{checkout}",
    "Checkouts on another event loop than the one to which the driver bound the connection.",
)
REQUEST_CHECKOUTS = _count(
    "poolscope.request.checkouts",
    "{checkout}",
    "Checkouts of requests that ended, by how long the process had served when they began.",
    SERVING_AGE,
)
REQUEST_CONNECT_WAITS = _count(
    "poolscope.request.connect_waits",
    "{checkout}",
    "Checkouts of requests that waited for a new connection, by how long the process had served.",
    SERVING_AGE,
)
ROUTE_CHECKOUTS = _count(
    "poolscope.route.checkouts", "{checkout}", "Checkouts that ended, by route.", HTTP_ROUTE
)
ROUTE_HELD_TIME = _count(
    "poolscope.route.held_time", "s", "Time that connections were held, by route.", HTTP_ROUTE
)

# Leaks.
LEAKS = _count(
    "poolscope.leaks",
    "{leak}",
    "Checkouts that apparently leaked, by first evidence.",
    EVIDENCE,
    HTTP_ROUTE,
    CALL_SITE,
)
LEAKS_RECOVERED = _count(
    "poolscope.leaks.recovered",
    "{leak}",
    "Leaked checkouts that were returned later.",
    EVIDENCE,
    HTTP_ROUTE,
    CALL_SITE,
)

# Configuration.
POOL_INFO = _gauge(
    "poolscope.pool.info",
    "{pool}",
    "Always 1; the labels name the pool's class and library.",
    POOL_CLASS,
    LIBRARY,
    DB_SYSTEM_NAME,
)
POOL_SIZE = _gauge(
    "poolscope.pool.size", "{connection}", "Configured pool_size; absent if there is none."
)
POOL_MAX_OVERFLOW = _gauge(
    "poolscope.pool.max_overflow",
    "{connection}",
    "Configured max_overflow; absent if it is unlimited.",
)
POOL_OVERFLOW = _gauge(
    "poolscope.pool.overflow", "{connection}", "Open connections beyond pool_size."
)
POOL_TIMEOUT = _gauge(
    "poolscope.pool.timeout", "s", "Configured pool_timeout; absent if callers wait for ever."
)
POOL_CONNECT_TIMEOUT = _gauge(
    "poolscope.pool.connect_timeout",
    "s",
    "Longest time that the driver takes to open a connection; 0 if that has no limit.",
)
POOL_RECYCLE = _gauge(
    "poolscope.pool.recycle", "s", "Configured pool_recycle; absent if connections never expire."
)
POOL_IDLE_TIMEOUT = _gauge(
    "poolscope.pool.idle_timeout",
    "s",
    "Unused time after which the pool closes a connection beyond its minimum; 0 if it never does.",
)
POOL_PRE_PING = _gauge(
    "poolscope.pool.pre_ping", "{setting}", "1 if connections are tested before use, else 0."
)
POOL_KEEPALIVE = _gauge(
    "poolscope.pool.keepalive",
    "s",
    "Idle time before TCP keepalive probes a connection; 0 if keepalive is off.",
)
POOL_PREPARED_STATEMENTS = _gauge(
    "poolscope.pool.prepared_statements",
    "{setting}",
    "1 if the setting makes the driver keep prepared statements on its connections, else 0.",
    SETTING,
)

LOST_PLACES = _gauge(
    "poolscope.pool.lost_places",
    "{connection}",
    "Connections that count as checked out, but that the application can no longer return.",
)

HELD_BY_WAITERS = _gauge(
    "poolscope.checkouts.held_by_waiters",
    "{checkout}",
    "Checkouts held by callers that wait in the queue for another connection of the same pool.",
)
AWAITING_THREAD = _gauge(
    "poolscope.checkouts.awaiting_thread",
    "{checkout}",
    "Checkouts held by requests that wait for a worker thread.",
)

# Metrics of the process: its event loops, and the threads that serve requests.
EVENT_LOOP_LAG = _gauge(
    "poolscope.event_loop.lag",
    "s",
    "Longest delay of a callback on an event loop of the process, since the last push.",
)
EVENT_LOOP_BLOCKED_TIME = _count(
    "poolscope.event_loop.blocked_time",
    "s",
    "Time that an event loop of the process did not run, in stalls of 0.5 s or more.",
)
WORKER_THREADS = _gauge(
    "poolscope.worker_threads.count",
    "{thread}",
    "Threads that serve a request (anyio's default limiter, which Starlette and FastAPI use).",
)
WORKER_THREADS_MAX = _gauge(
    "poolscope.worker_threads.max", "{thread}", "Most threads that may serve requests at a time."
)
WORKER_THREADS_PENDING = _gauge(
    "poolscope.worker_threads.pending_requests",
    "{request}",
    "Requests that wait for a thread.",
)

# A metric of the process, because the pool of an object without a session is not always known.
SESSION_ERRORS = _count(
    "poolscope.session.errors",
    "{error}",
    "Attributes of SQLAlchemy's ORM objects that could not be loaded, by error and line.",
    KIND,
    CALL_SITE,
    POOL_NAME,
)

# Metrics of poolscope itself.
HOOK_ERRORS = _count(
    "poolscope.hook.errors",
    "{error}",
    "Errors of poolscope in the application's process, which the application does not see.",
)
PUSH_FAILURES = _count("poolscope.push.failures", "{push}", "Pushes that did not arrive.")
PUSH_REJECTED = _count(
    "poolscope.push.rejected",
    "{data_point}",
    "Data points that an exporter rejected, of pushes that arrived.",
)
SAMPLES_DROPPED = _count(
    "poolscope.samples.dropped",
    "{sample}",
    "Histogram samples dropped because the buffer for the OpenTelemetry provider was full.",
)

# For the exporter only.
PUSH = _for_exporter(
    "poolscope.push",
    "{push}",
    "Sequence number of this push, from 1.",
    PUSH_INTERVAL,
    PUSH_END,
    PUSH_PUBLISHER,
    PUSH_PRESSURE,
    PUSH_PARTIAL,
    PUSH_VERSION,
)
CHECKOUT_AGE = _for_exporter(
    "poolscope.checkout.age",
    "s",
    "Age of one held checkout, as of the push.",
    CHECKOUT_ID,
    BACKEND_PID,
    LOCAL_ADDRESS,
    LOCAL_PORT,
    PEER_ADDRESS,
    PEER_PORT,
    CONNECTION_AGE,
    HTTP_ROUTE,
    CODE_FILE_PATH,
    CODE_LINE_NUMBER,
    CODE_FUNCTION_NAME,
    OWNER_KIND,
    UNIT_KIND,
    UNIT_NAME,
    EVIDENCE,
    TRACE_ID,
    *NOW,
)
CHECKOUT_ENDED = _for_exporter(
    "poolscope.checkout.ended",
    "s",
    "How long ago a checkout ended that an earlier push listed.",
    CHECKOUT_ID,
)
CHECKOUTS_HELD = _for_exporter(
    "poolscope.checkouts.held",
    "{checkout}",
    "All checkouts that are older than the limit or have evidence of a leak.",
)
CHECKOUTS_LISTED = _for_exporter(
    "poolscope.checkouts.listed", "{checkout}", "Number of these checkouts that this push lists."
)
WAITER_AGE = _for_exporter(
    "poolscope.waiter.age",
    "s",
    "How long one caller has waited for a connection, as of the push.",
    WAITER_ID,
    PHASE,
    HTTP_ROUTE,
    CODE_FILE_PATH,
    CODE_LINE_NUMBER,
    CODE_FUNCTION_NAME,
    OWNER_KIND,
    *NOW,
)
WAITERS_WAITING = _for_exporter(
    "poolscope.waiters.waiting",
    "{request}",
    "All callers that have waited for longer than the limit.",
)
WAITERS_LISTED = _for_exporter(
    "poolscope.waiters.listed", "{request}", "Number of these callers that this push lists."
)
POOL_SESSIONS = _for_exporter(
    "poolscope.pool.sessions",
    "{connection}",
    "Open connections of the pool with a known backend PID.",
    BACKEND_PIDS,
)
EVENT_LOOP_STALL = _for_exporter(
    "poolscope.event_loop.stall",
    "s",
    "Longest time that an event loop did not run, of the stalls since the last push.",
    STALL_IS_OVER,
    BLOCKED_TIME,
    THREAD_NAME,
    CODE_FILE_PATH,
    CODE_LINE_NUMBER,
    CODE_FUNCTION_NAME,
)
INHERITED_CONNECTION = _for_exporter(
    "poolscope.inherited_connection.unused",
    "s",
    "How long ago a connection that another process opened was last taken; 0 while it is out.",
    BACKEND_PID,
    LOCAL_ADDRESS,
    LOCAL_PORT,
    HTTP_ROUTE,
    CODE_FILE_PATH,
    CODE_LINE_NUMBER,
)
POOL_GENERATION = _for_exporter(
    "poolscope.pool.generation",
    "{pool}",
    "Pools that had this name and its totals, one after another, with the line of the last one.",
    CALL_SITE,
    POOL_IS_GONE,
)
OCCUPANCY = _for_exporter(
    "poolscope.occupancy",
    "s",
    "Time for which connections were out since the last push, by activity of the owner: sampled.",
    HTTP_ROUTE,
    TAKEN_AT,
    NOW_AT,
    NOW_CALL,
    DOING,
)
TIMEOUT_REPORT = _for_exporter(
    "poolscope.timeout.report",
    "s",
    "Age of a report on the pool at its first time-out in an hour: the lines of the app's log.",
    TIMEOUT_TEXT,
)
POOLS_MADE = _for_exporter(
    "poolscope.pools.made",
    "{pool}",
    "Pools of this name that one line of code made, and that live or were made recently.",
    CALL_SITE,
)

PROCESS_METRICS = (
    EVENT_LOOP_LAG, EVENT_LOOP_BLOCKED_TIME, WORKER_THREADS, WORKER_THREADS_MAX,
    WORKER_THREADS_PENDING, SESSION_ERRORS, HOOK_ERRORS, PUSH_FAILURES, PUSH_REJECTED,
    SAMPLES_DROPPED, PUSH, EVENT_LOOP_STALL,
)  # fmt: skip
"""The metrics that describe a process; all others describe a pool and carry its identity."""

METRICS = (
    COUNT, MAX, IDLE_MAX, IDLE_MIN, PENDING_REQUESTS, PENDING, PENDING_AGE, TIMEOUTS,
    CREATE_TIME, WAIT_TIME, USE_TIME,
    CHECKOUTS, CHECKINS, QUEUE_TIME, PING_TIME, OPENED, CLOSED, INVALIDATED, CONNECT_ERRORS,
    CHECKOUT_FAILURES, BLOCKING_CHECKOUTS, NESTED_CHECKOUTS, SHARED_CONNECTIONS,
    INHERITED_CHECKOUTS, FOREIGN_LOOP_CHECKOUTS, REQUEST_CHECKOUTS, REQUEST_CONNECT_WAITS,
    ROUTE_CHECKOUTS, ROUTE_HELD_TIME, LEAKS,
    LEAKS_RECOVERED, POOL_INFO, POOL_SIZE, POOL_MAX_OVERFLOW, POOL_OVERFLOW, POOL_TIMEOUT,
    POOL_CONNECT_TIMEOUT, POOL_RECYCLE, POOL_IDLE_TIMEOUT, POOL_PRE_PING, POOL_KEEPALIVE,
    POOL_PREPARED_STATEMENTS, LOST_PLACES, HELD_BY_WAITERS, AWAITING_THREAD,
    EVENT_LOOP_LAG, EVENT_LOOP_BLOCKED_TIME, WORKER_THREADS, WORKER_THREADS_MAX,
    WORKER_THREADS_PENDING, SESSION_ERRORS, HOOK_ERRORS, PUSH_FAILURES, PUSH_REJECTED,
    SAMPLES_DROPPED, PUSH, CHECKOUT_AGE, CHECKOUT_ENDED, CHECKOUTS_HELD, CHECKOUTS_LISTED,
    WAITER_AGE,
    WAITERS_WAITING, WAITERS_LISTED, POOL_SESSIONS, EVENT_LOOP_STALL,
    POOL_GENERATION, POOLS_MADE, INHERITED_CONNECTION, OCCUPANCY, TIMEOUT_REPORT,
)  # fmt: skip

EFFECTS: dict[Metric, dict[str, Effect]] = {
    TIMEOUTS: {"": Effect.HURTS},
    CHECKOUT_FAILURES: {
        FailureReason.TIMEOUT: Effect.HURTS,
        FailureReason.ERROR: Effect.HURTS,
        # The caller left on purpose: a client that closed its page is no failure of the pool.
        FailureReason.CANCELLED: Effect.TRAFFIC,
    },
    CONNECT_ERRORS: dict.fromkeys(ConnectErrorKind, Effect.HURTS),
    INVALIDATED: {
        # A statement failed on these connections, or reached its time limit.
        **dict.fromkeys(InvalidationReason, Effect.HURTS),
        # No caller got these connections: each got another one.
        InvalidationReason.PING: Effect.FINDING,
        InvalidationReason.LOST_WHILE_IDLE: Effect.FINDING,
        InvalidationReason.CANCELLED: Effect.TRAFFIC,
        InvalidationReason.REQUESTED: Effect.TRAFFIC,
    },
    LEAKS: {
        Evidence.REQUEST_FINISHED: Effect.HURTS,
        Evidence.JOB_FINISHED: Effect.HURTS,
        Evidence.TASK_FINISHED: Effect.HURTS,
        Evidence.THREAD_FINISHED: Effect.HURTS,
        Evidence.THREAD_IDLE: Effect.HURTS,
        # Collection returns the place; if it does not, the place is counted as lost.
        Evidence.GARBAGE_COLLECTED: Effect.FINDING,
    },
    # Results go to the wrong process, or the protocol breaks, even if no error shows it yet.
    INHERITED_CHECKOUTS: {"": Effect.HURTS},
    # Only drivers that fail on another loop are counted: their callers get errors.
    FOREIGN_LOOP_CHECKOUTS: {"": Effect.HURTS},
    NESTED_CHECKOUTS: {"": Effect.FINDING},
    SHARED_CONNECTIONS: dict.fromkeys(SharedReason, Effect.FINDING),
    BLOCKING_CHECKOUTS: {"": Effect.FINDING},
    LEAKS_RECOVERED: dict.fromkeys(Evidence, Effect.FINDING),
    CHECKOUTS: {"": Effect.TRAFFIC},
    CHECKINS: {"": Effect.TRAFFIC},
    OPENED: {"": Effect.TRAFFIC},
    CLOSED: dict.fromkeys(CloseReason, Effect.TRAFFIC),
    REQUEST_CHECKOUTS: dict.fromkeys(ServingAge, Effect.TRAFFIC),
    REQUEST_CONNECT_WAITS: dict.fromkeys(ServingAge, Effect.TRAFFIC),
    ROUTE_CHECKOUTS: {"": Effect.TRAFFIC},
    ROUTE_HELD_TIME: {"": Effect.TRAFFIC},
}
"""The meaning of a pool counter's growth, by the value of its reason, kind or evidence."""

BY_VALUE: dict[Metric, str] = {
    CHECKOUT_FAILURES: REASON,
    CONNECT_ERRORS: KIND,
    INVALIDATED: REASON,
    SHARED_CONNECTIONS: REASON,
    CLOSED: REASON,
    REQUEST_CHECKOUTS: SERVING_AGE,
    REQUEST_CONNECT_WAITS: SERVING_AGE,
    LEAKS: EVIDENCE,
    LEAKS_RECOVERED: EVIDENCE,
}
"""The attribute that divides the counts of a counter."""

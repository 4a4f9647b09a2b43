"""Name everything that poolscope puts on the wire: each metric, attribute and value, once.

The `db.client.connection.*` names are those of the OpenTelemetry semantic conventions; all others
are ours, under `poolscope.`. The exporter, its dashboards and its alerts take their names from
here. No gauge has the unit `1`: the translation to Prometheus would append `_ratio`.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

SCOPE = "poolscope"
"""Instrumentation scope of the aggregates, which any OpenTelemetry backend may store."""

PUSH_SCOPE = "poolscope.push"
"""Instrumentation scope of what only the exporter may see: unbounded in cardinality elsewhere."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"


class Kind(Enum):
    """The instrument that a metric is made with."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "up_down_counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the wire format; `attributes` are those beside the pool's identity."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    scope: str = SCOPE


class Evidence(StrEnum):
    """Why a checkout counts as leaked."""

    REQUEST_FINISHED = "request_finished"
    TASK_FINISHED = "task_finished"
    THREAD_FINISHED = "thread_finished"
    GARBAGE_COLLECTED = "garbage_collected"


class OwnerKind(StrEnum):
    """Who took a connection; `long_lived` is declared: held for long on purpose."""

    REQUEST = "request"
    TASK = "task"
    THREAD = "thread"
    LONG_LIVED = "long_lived"


class ConnectionState(StrEnum):
    """Values of `db.client.connection.state`."""

    IDLE = "idle"
    USED = "used"


class FailureReason(StrEnum):
    """Why asking a pool for a connection failed."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    ERROR = "error"


class CloseReason(StrEnum):
    """Why a connection left its pool: closed by it, or detached from it."""

    INVALIDATED = "invalidated"
    RECYCLED = "recycled"
    OVERFLOW = "overflow"
    NOT_POOLED = "not_pooled"
    DETACHED = "detached"
    OTHER = "other"


class InvalidationReason(StrEnum):
    """Why a connection was invalidated; `ping` is a stale socket that pre-ping caught."""

    PING = "ping"
    CANCELLED = "cancelled"
    REQUESTED = "requested"
    ERROR = "error"


class ConnectErrorKind(StrEnum):
    """How opening a connection failed.

    `unreachable`: no route, no local address, or a firewall of this host. `reset`: the server
    closed the connection without an answer. `not_ready`: a server answers that it does not take
    connections now: it starts, stops or recovers, it is not the primary or the standby that
    `target_session_attrs` asks for, or a PgBouncer cannot reach it. `authentication`: it does not
    accept the role: its password, its right to log in or to connect, pg_hba.conf.
    `wrong_setting`: a parameter that the server or the driver does not know or accept.
    """

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    NAME_RESOLUTION = "name_resolution"
    RESET = "reset"
    TLS = "tls"
    NOT_READY = "not_ready"
    AUTHENTICATION = "authentication"
    UNKNOWN_DATABASE = "unknown_database"
    WRONG_SETTING = "wrong_setting"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    OTHER = "other"


class Effect(StrEnum):
    """What growth of a counter means for the callers of the pool.

    `hurts`: callers failed or lost time, so the pool is not healthy. `finding`: misuse, or an
    accident that healed; it stands beside the diagnosis. `traffic`: ordinary work.
    """

    HURTS = "hurts"
    FINDING = "finding"
    TRAFFIC = "traffic"


class Phase(StrEnum):
    """What a caller waits for: a place in the pool, a new connection, a liveness check, a reset."""

    QUEUE = "queue"
    CONNECT = "connect"
    PING = "ping"
    RESET = "reset"


class Publisher(StrEnum):
    """Who publishes the aggregates of a push, so that every series exists once."""

    EXPORTER = "exporter"
    PROVIDER = "provider"


OTHER = "other"
"""Route and call site of what exceeds its cap."""

# Identity of a process (resource attributes).
SERVICE_NAMESPACE = "service.namespace"
SERVICE_NAME = "service.name"
SERVICE_INSTANCE_ID = "service.instance.id"
HOST_NAME = "host.name"
K8S_POD_NAME = "k8s.pod.name"
PROCESS_PID = "process.pid"

# Identity of a pool (attributes of every one of its points).
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
POOL_CLASS = "poolscope.pool.class"
LIBRARY = "poolscope.library"

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
TRACE_ID = "poolscope.trace_id"

# Attribute of a waiting caller.
WAITER_ID = "poolscope.waiter.id"

# Attributes of a push.
PUSH_INTERVAL = "poolscope.push.interval"
PUSH_END = "poolscope.push.end"
PUSH_PUBLISHER = "poolscope.push.publisher"
PUSH_PRESSURE = "poolscope.push.pressure"

FASTEST_PUSH_S = 1.0
"""Seconds between two pushes of a process under pressure, unless the exporter asks for more."""

INTERVAL_HEADER = "Poolscope-Push-Interval"
"""Response header: how many seconds a process under pressure is to wait between two pushes."""

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


# The nine of the semantic conventions.
COUNT = _up_down(
    "db.client.connection.count",
    "{connection}",
    "Open connections of the pool, by whether they are checked out.",
    CONNECTION_STATE,
)
MAX = _up_down(
    "db.client.connection.max",
    "{connection}",
    "Most connections that the pool may open; absent when it has no limit.",
)
IDLE_MAX = _up_down(
    "db.client.connection.idle.max",
    "{connection}",
    "Most idle connections that the pool keeps; absent when it has no limit.",
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
    "Callers that wait, by what they wait for.",
    PHASE,
)
PENDING_AGE = _gauge(
    "poolscope.pending.age",
    "s",
    "How long the oldest caller has waited, by what it waits for; 0 where nobody waits.",
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
    "Time from asking for a connection to getting it: queueing, opening and pinging included.",
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
    "Time callers were blocked in the pool's queue, time-outs and cancellations included.",
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
    "Checkouts from a synchronous pool by a thread that runs an event loop.",
)
NESTED_CHECKOUTS = _count(
    "poolscope.nested_checkouts",
    "{checkout}",
    "Requests for a connection that were blocked while their owner held one of the same pool.",
)
SHARED_CONNECTIONS = _count(
    "poolscope.shared_connections",
    "{error}",
    "Errors that reveal one connection or session in use by two tasks at once.",
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
    "Checkouts that leaked, apparently, by first evidence.",
    EVIDENCE,
    HTTP_ROUTE,
    CALL_SITE,
)
LEAKS_RECOVERED = _count(
    "poolscope.leaks.recovered",
    "{leak}",
    "Leaked checkouts that were returned after all.",
    EVIDENCE,
    HTTP_ROUTE,
    CALL_SITE,
)

# Configuration.
POOL_INFO = _gauge(
    "poolscope.pool.info",
    "{pool}",
    "Always 1; names the pool's class and library.",
    POOL_CLASS,
    LIBRARY,
    DB_SYSTEM_NAME,
)
POOL_SIZE = _gauge(
    "poolscope.pool.size", "{connection}", "Configured pool_size; absent when there is none."
)
POOL_MAX_OVERFLOW = _gauge(
    "poolscope.pool.max_overflow",
    "{connection}",
    "Configured max_overflow; absent when it is unlimited.",
)
POOL_OVERFLOW = _gauge(
    "poolscope.pool.overflow", "{connection}", "Open connections beyond pool_size."
)
POOL_TIMEOUT = _gauge(
    "poolscope.pool.timeout", "s", "Configured pool_timeout; absent when callers wait for ever."
)
POOL_RECYCLE = _gauge(
    "poolscope.pool.recycle", "s", "Configured pool_recycle; absent when connections never expire."
)
POOL_PRE_PING = _gauge(
    "poolscope.pool.pre_ping", "{setting}", "1 where connections are tested before use, else 0."
)
POOL_KEEPALIVE = _gauge(
    "poolscope.pool.keepalive",
    "s",
    "Idle time before TCP keepalive probes a connection; 0 when keepalive is off.",
)

LOST_PLACES = _gauge(
    "poolscope.pool.lost_places",
    "{connection}",
    "Connections that count as checked out although the application cannot return them any more.",
)

# What poolscope says of itself.
HOOK_ERRORS = _count(
    "poolscope.hook.errors", "{error}", "Errors of ours, contained in the application's process."
)
PUSH_FAILURES = _count("poolscope.push.failures", "{push}", "Pushes that did not arrive.")
SAMPLES_DROPPED = _count(
    "poolscope.samples.dropped",
    "{sample}",
    "Histogram samples that found the buffer for the OpenTelemetry provider full.",
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
    EVIDENCE,
    TRACE_ID,
)
CHECKOUTS_HELD = _for_exporter(
    "poolscope.checkouts.held",
    "{checkout}",
    "Checkouts that are older than the limit or have evidence: the true number.",
)
CHECKOUTS_LISTED = _for_exporter(
    "poolscope.checkouts.listed", "{checkout}", "How many of them this push lists."
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
)
WAITERS_WAITING = _for_exporter(
    "poolscope.waiters.waiting",
    "{request}",
    "Callers that have waited for longer than the limit: the true number.",
)
WAITERS_LISTED = _for_exporter(
    "poolscope.waiters.listed", "{request}", "How many of them this push lists."
)
POOL_SESSIONS = _for_exporter(
    "poolscope.pool.sessions",
    "{connection}",
    "Open connections of the pool whose backend pid is known.",
    BACKEND_PIDS,
)

PROCESS_METRICS = (HOOK_ERRORS, PUSH_FAILURES, SAMPLES_DROPPED, PUSH)
"""The metrics that describe a process; all others describe a pool and carry its identity."""

METRICS = (
    COUNT, MAX, IDLE_MAX, IDLE_MIN, PENDING_REQUESTS, PENDING, PENDING_AGE, TIMEOUTS,
    CREATE_TIME, WAIT_TIME, USE_TIME,
    CHECKOUTS, CHECKINS, QUEUE_TIME, PING_TIME, OPENED, CLOSED, INVALIDATED, CONNECT_ERRORS,
    CHECKOUT_FAILURES, BLOCKING_CHECKOUTS, NESTED_CHECKOUTS, SHARED_CONNECTIONS,
    ROUTE_CHECKOUTS, ROUTE_HELD_TIME, LEAKS,
    LEAKS_RECOVERED, POOL_INFO, POOL_SIZE, POOL_MAX_OVERFLOW, POOL_OVERFLOW, POOL_TIMEOUT,
    POOL_RECYCLE, POOL_PRE_PING, POOL_KEEPALIVE, LOST_PLACES, HOOK_ERRORS,
    PUSH_FAILURES, SAMPLES_DROPPED,
    PUSH, CHECKOUT_AGE, CHECKOUTS_HELD, CHECKOUTS_LISTED, WAITER_AGE, WAITERS_WAITING,
    WAITERS_LISTED, POOL_SESSIONS,
)  # fmt: skip

EFFECTS: dict[Metric, dict[str, Effect]] = {
    TIMEOUTS: {"": Effect.HURTS},
    CHECKOUT_FAILURES: {
        FailureReason.TIMEOUT: Effect.HURTS,
        FailureReason.ERROR: Effect.HURTS,
        # The caller went away by itself: a client that closed its page is no failure of the pool.
        FailureReason.CANCELLED: Effect.TRAFFIC,
    },
    CONNECT_ERRORS: dict.fromkeys(ConnectErrorKind, Effect.HURTS),
    INVALIDATED: {
        InvalidationReason.ERROR: Effect.HURTS,
        InvalidationReason.PING: Effect.FINDING,
        InvalidationReason.CANCELLED: Effect.TRAFFIC,
        InvalidationReason.REQUESTED: Effect.TRAFFIC,
    },
    LEAKS: {
        Evidence.REQUEST_FINISHED: Effect.HURTS,
        Evidence.TASK_FINISHED: Effect.HURTS,
        Evidence.THREAD_FINISHED: Effect.HURTS,
        # Collection gives the place back; where it does not, the place is counted as lost.
        Evidence.GARBAGE_COLLECTED: Effect.FINDING,
    },
    NESTED_CHECKOUTS: {"": Effect.FINDING},
    SHARED_CONNECTIONS: {"": Effect.FINDING},
    BLOCKING_CHECKOUTS: {"": Effect.FINDING},
    LEAKS_RECOVERED: dict.fromkeys(Evidence, Effect.FINDING),
    CHECKOUTS: {"": Effect.TRAFFIC},
    CHECKINS: {"": Effect.TRAFFIC},
    OPENED: {"": Effect.TRAFFIC},
    CLOSED: dict.fromkeys(CloseReason, Effect.TRAFFIC),
    ROUTE_CHECKOUTS: {"": Effect.TRAFFIC},
    ROUTE_HELD_TIME: {"": Effect.TRAFFIC},
}
"""What growth of each counter of a pool means, by the value of its reason, kind or evidence."""

BY_VALUE: dict[Metric, str] = {
    CHECKOUT_FAILURES: REASON,
    CONNECT_ERRORS: KIND,
    INVALIDATED: REASON,
    CLOSED: REASON,
    LEAKS: EVIDENCE,
    LEAKS_RECOVERED: EVIDENCE,
}
"""The attribute whose value tells apart what a counter counts."""

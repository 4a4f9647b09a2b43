"""Name the exporter's own series, once: what it concludes, sees of servers, and says of itself."""

from dataclasses import dataclass
from enum import Enum

from poolscope import catalogue as wire
from poolscope_exporter.core.prometheus_names import label_name


class OwnType(Enum):
    """The Prometheus type of a series."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """One series of the exporter; `labels` are complete and in the order they are given."""

    name: str
    type: OwnType
    labels: tuple[str, ...]
    help: str


INSTANCE_LABELS = tuple(
    label_name(name)
    for name in (wire.SERVICE_NAMESPACE, wire.SERVICE_NAME, wire.SERVICE_INSTANCE_ID)
)
POOL_LABELS = INSTANCE_LABELS + tuple(label_name(name) for name in wire.POOL_IDENTITY)
HTTP_ROUTE = label_name(wire.HTTP_ROUTE)
ROUTE_LABELS = (
    *(label_name(name) for name in (wire.SERVICE_NAMESPACE, wire.SERVICE_NAME)),
    *(label_name(name) for name in wire.POOL_IDENTITY),
    HTTP_ROUTE,
)
"""Labels of what is summed over the processes of a service: no instance."""


def _gauge(name: str, labels: tuple[str, ...], text: str) -> OwnMetric:
    return OwnMetric(name, OwnType.GAUGE, labels, text)


def _counter(name: str, labels: tuple[str, ...], text: str) -> OwnMetric:
    return OwnMetric(name, OwnType.COUNTER, labels, text)


HELD_CHECKOUTS = _gauge(
    "poolscope_held_checkouts",
    (*POOL_LABELS, "verdict", "evidence", HTTP_ROUTE),
    "Connections held for a second or longer, or with evidence of a leak, by verdict.",
)
OLDEST_CHECKOUT_AGE = _gauge(
    "poolscope_oldest_checkout_age_seconds",
    POOL_LABELS,
    "Age of the pool's oldest held checkout; absent when none is held long.",
)
HELD_IDLE_TIME = _counter(
    "poolscope_held_idle_seconds_total",
    ROUTE_LABELS,
    "Time that long-held connections were out while their server session was seen idle.",
)
POOL_DIAGNOSIS = _gauge(
    "poolscope_pool_diagnosis",
    (*POOL_LABELS, "diagnosis"),
    "1 for the diagnosis that applies to the pool, 0 for every other.",
)
POOL_DESTINATION = _gauge(
    "poolscope_pool_destination",
    (*POOL_LABELS, "server", "pgbouncer"),
    "Always 1; names the server that the pool leads to, and the PgBouncer on the way, if any.",
)
LINKS = _gauge(
    "poolscope_links",
    ("level", "reason"),
    "Held checkouts by the witness that links them to a session, or the reason that none does.",
)
SERVER_CONNECTIONS = _gauge(
    "poolscope_server_connections",
    ("server", "state"),
    "Client sessions on the server, by state; hidden where the role may not see it.",
)
SERVER_CONNECTIONS_LIMIT = _gauge(
    "poolscope_server_connections_limit",
    ("server", "scope"),
    "Sessions that a limit of the server admits, less what is reserved.",
)
SERVER_HEADROOM = _gauge(
    "poolscope_server_headroom",
    ("server",),
    "Further sessions that the tightest limit of the server admits.",
)
ORPHAN_SESSIONS = _gauge(
    "poolscope_orphan_sessions",
    ("server", *INSTANCE_LABELS[:2]),
    "Sessions that outlived their process and began no statement since; absent where unknown.",
)
SERVER_ACTIVE_ON_CPU = _gauge(
    "poolscope_server_active_on_cpu",
    ("server",),
    "Sessions that run a statement and wait for nothing; absent where some are hidden.",
)
SERVER_CPUS = _gauge(
    "poolscope_server_cpus", ("server",), "CPUs of the server, as configured; absent when not."
)
SERVER_UP = _gauge(
    "poolscope_server_up", ("server",), "1 where the last poll of the server succeeded, else 0."
)
PRIVILEGE_LEVEL = _gauge(
    "poolscope_privilege_level",
    ("server", "level"),
    "1 for how much the exporter may see of other roles' sessions: full, member or own.",
)
POLL_LAST_SUCCESS = _gauge(
    "poolscope_poll_last_success_timestamp_seconds",
    ("server",),
    "Unix time of the last successful poll; absent before the first.",
)
POLL_DURATION = _gauge(
    "poolscope_poll_duration_seconds", ("server",), "How long the last successful poll took."
)
POLL_FAILURES = _counter(
    "poolscope_poll_failures_total", ("server", "reason"), "Polls that failed, by reason."
)
SERVER_ROLE = _gauge(
    "poolscope_server_role",
    ("server", "role"),
    "1 for what answered the last poll, primary or replica; absent where nothing did.",
)
SERVER_CHANGES = _counter(
    "poolscope_server_changes_total",
    ("server", "change"),
    "How often the server was replaced (a restart or a fail-over), or promoted in place.",
)
POLL_TIER_SECONDS = _counter(
    "poolscope_poll_tier_seconds_total",
    ("server", "tier"),
    "Time spent waiting for the server, by kind of question: no less than what they cost it.",
)
POLL_TIER_MISSED = _counter(
    "poolscope_poll_tier_missed_total",
    ("server", "tier"),
    "Questions that the server did not answer, by kind.",
)
EXPORTER_CONNECTIONS = _gauge(
    "poolscope_exporter_connections",
    ("server",),
    "Connections that the exporter itself has to the server: never more than one.",
)
PGBOUNCER_UP = _gauge(
    "poolscope_pgbouncer_up",
    ("pgbouncer",),
    "1 where the last poll of the PgBouncer succeeded, else 0.",
)
PGBOUNCER_CLIENTS = _gauge(
    "poolscope_pgbouncer_clients",
    ("pgbouncer", "state"),
    "Clients of the PgBouncer: active has a server connection, idle has none, waiting wants one.",
)
PGBOUNCER_POLL_LAST_SUCCESS = _gauge(
    "poolscope_pgbouncer_poll_last_success_timestamp_seconds",
    ("pgbouncer",),
    "Unix time of the last successful poll; absent before the first.",
)
PGBOUNCER_POLL_DURATION = _gauge(
    "poolscope_pgbouncer_poll_duration_seconds",
    ("pgbouncer",),
    "How long the last successful poll took.",
)
PGBOUNCER_POLL_FAILURES = _counter(
    "poolscope_pgbouncer_poll_failures_total",
    ("pgbouncer", "reason"),
    "Polls of the PgBouncer that failed, by reason.",
)
PGBOUNCER_LIMIT = _gauge(
    "poolscope_pgbouncer_connections_limit",
    ("pgbouncer", "scope"),
    "Clients that the PgBouncer admits, or server connections by its tightest limit of a kind.",
)
PGBOUNCER_HEADROOM = _gauge(
    "poolscope_pgbouncer_headroom",
    ("pgbouncer", "scope"),
    "Further clients that the PgBouncer admits, or server connections that it can hand out.",
)
PGBOUNCER_POTENTIAL_CLIENTS = _gauge(
    "poolscope_pgbouncer_potential_clients",
    ("pgbouncer",),
    "Connections that the pools in front may open together; absent where one has no limit.",
)
PGBOUNCER_PAUSED = _gauge(
    "poolscope_pgbouncer_paused_databases",
    ("pgbouncer",),
    "Databases of the PgBouncer that are paused: their clients wait until RESUME.",
)
PGBOUNCER_RESOLUTIONS = _counter(
    "poolscope_pgbouncer_resolutions_total",
    ("target", "result"),
    "Resolutions of the configured name of a PgBouncer, by result.",
)
PROXY_IDLE_TIMEOUT = _gauge(
    "poolscope_proxy_idle_timeout_seconds",
    ("source", "pgbouncer"),
    "After how long a proxy closes an unused connection; absent where it closes none, or unknown.",
)
CONFIG_CHECK = _gauge(
    "poolscope_config_check",
    (*POOL_LABELS, "check_id", "result"),
    "Always 1, for the one result of each check of the pool's configuration: ok, warn, unknown.",
)
INSTANCE_LAST_PUSH_AGE = _gauge(
    "poolscope_instance_last_push_age_seconds",
    INSTANCE_LABELS,
    "Time since the application process was last heard.",
)
INSTANCE_INFO = _gauge(
    "poolscope_instance_info",
    (*INSTANCE_LABELS, label_name(wire.HOST_NAME), label_name(wire.K8S_POD_NAME)),
    "Always 1; names the host and the pod of an application process.",
)
RECEIVER_REQUESTS = _counter(
    "poolscope_receiver_requests_total", ("result",), "OTLP requests received, by result."
)
RECEIVER_REFUSED = _counter(
    "poolscope_receiver_refused_total",
    ("reason",),
    "Data points, checkouts and pushes that were received and not kept, by reason.",
)
FORWARD_REQUESTS = _counter(
    "poolscope_forward_requests_total",
    ("result",),
    "Requests to the upstream endpoint, by result; absent where nothing is forwarded.",
)
FORWARD_LOST = _counter(
    "poolscope_forward_lost_total",
    ("reason",),
    "Received requests that were not forwarded, by reason.",
)
FORWARD_WAITING = _gauge(
    "poolscope_forward_waiting_requests", (), "Received requests that wait to be forwarded."
)
FORWARD_WAITING_BYTES = _gauge(
    "poolscope_forward_waiting_bytes", (), "Size of the received requests that wait."
)
CONNECTIONS_CLOSED = _counter(
    "poolscope_listener_connections_closed_total",
    ("listener", "reason"),
    "Connections to the exporter that it closed on their peers, by reason.",
)
EXPORTER_ROLE = _gauge(
    "poolscope_exporter_role",
    ("role",),
    "Always 1; standalone, or sidecar: it judges its own pod and exposes no facts of servers.",
)
BUILD_INFO = _gauge(
    "poolscope_build_info", ("version",), "Always 1; names the version of the exporter."
)

OWN_METRICS = (
    HELD_CHECKOUTS, OLDEST_CHECKOUT_AGE, HELD_IDLE_TIME, POOL_DIAGNOSIS, POOL_DESTINATION, LINKS,
    SERVER_CONNECTIONS, SERVER_CONNECTIONS_LIMIT, SERVER_HEADROOM, ORPHAN_SESSIONS,
    SERVER_ACTIVE_ON_CPU, SERVER_CPUS, SERVER_UP, PRIVILEGE_LEVEL,
    POLL_LAST_SUCCESS, POLL_DURATION, POLL_FAILURES,
    SERVER_ROLE, SERVER_CHANGES, POLL_TIER_SECONDS, POLL_TIER_MISSED, EXPORTER_CONNECTIONS,
    PGBOUNCER_UP, PGBOUNCER_CLIENTS, PGBOUNCER_POLL_LAST_SUCCESS, PGBOUNCER_POLL_DURATION,
    PGBOUNCER_POLL_FAILURES, PGBOUNCER_LIMIT, PGBOUNCER_HEADROOM, PGBOUNCER_POTENTIAL_CLIENTS,
    PGBOUNCER_PAUSED, PGBOUNCER_RESOLUTIONS, PROXY_IDLE_TIMEOUT, CONFIG_CHECK,
    INSTANCE_LAST_PUSH_AGE, INSTANCE_INFO, RECEIVER_REQUESTS, RECEIVER_REFUSED,
    CONNECTIONS_CLOSED, FORWARD_REQUESTS, FORWARD_LOST, FORWARD_WAITING, FORWARD_WAITING_BYTES,
    EXPORTER_ROLE, BUILD_INFO,
)  # fmt: skip

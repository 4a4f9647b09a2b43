"""Define the exporter's series: its conclusions, the state of servers, and its own state."""

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
    """One series of the exporter; `labels` are complete, in the order of the exposition."""

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
"""Labels of series that are summed over the processes of a service: without the instance."""


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
    "Age of the pool's oldest held checkout; absent if none is old or has evidence of a leak.",
)
LONG_HELD_CHECKOUTS = _gauge(
    "poolscope_long_held_checkouts",
    (*POOL_LABELS, HTTP_ROUTE, label_name(wire.CALL_SITE)),
    "Checkouts out for two minutes or longer without evidence of a leak, by line: five per pool.",
)
HOLDING_CALL = _gauge(
    "poolscope_holding_call",
    (*ROUTE_LABELS[:-1], "call"),
    "Held checkouts by the library call that their owners wait in now: ten calls per pool.",
)
OCCUPANCY_TIME = _counter(
    "poolscope_occupancy_seconds_total",
    (*ROUTE_LABELS, "doing"),
    "Time of connections that were out, by activity of the owner: database, application or a call.",
)
HELD_IDLE_TIME = _counter(
    "poolscope_held_idle_seconds_total",
    ROUTE_LABELS,
    "Time of long-held connections with an idle server session, as polls showed.",
)
HELD_IN_TRANSACTION_TIME = _counter(
    "poolscope_held_in_transaction_seconds_total",
    ROUTE_LABELS,
    "Time of long-held connections with a session in a transaction, as polls showed.",
)
HELD_SEEN_TIME = _counter(
    "poolscope_held_seen_seconds_total",
    ROUTE_LABELS,
    "Time of long-held connections with a known transaction state, open or not.",
)
UNPROVEN_LEAKS = _gauge(
    "poolscope_unproven_leaks",
    (*POOL_LABELS, label_name(wire.EVIDENCE), HTTP_ROUTE, label_name(wire.CALL_SITE)),
    "Held checkouts with evidence of a leak that is refuted or not confirmed yet.",
)
LEAKS_REFUTED = _counter(
    "poolscope_leaks_refuted_total",
    ROUTE_LABELS,
    "Apparent leaks that did not count: the session began a statement after the owner had ended.",
)
POOL_DIAGNOSIS = _gauge(
    "poolscope_pool_diagnosis",
    (*POOL_LABELS, "diagnosis"),
    "1 for the diagnosis that applies to the pool, 0 for every other.",
)
POOL_DESTINATION = _gauge(
    "poolscope_pool_destination",
    (*POOL_LABELS, "server", "pgbouncer"),
    "Always 1; names the server of the pool, and the PgBouncer in between, if any.",
)
LINKS = _gauge(
    "poolscope_links",
    ("level", "reason"),
    "Held checkouts by level of the link to their session, or by reason without a link.",
)
SERVER_CONNECTIONS = _gauge(
    "poolscope_server_connections",
    ("server", "state"),
    "Client sessions on the server, by state; hidden if the exporter's role may not see it.",
)
SERVER_SESSIONS = _gauge(
    "poolscope_server_sessions",
    ("server", "role", "database"),
    "Client sessions by role and database, the 50 largest pairs; all further ones are other.",
)
SERVER_CONNECTIONS_LIMIT = _gauge(
    "poolscope_server_connections_limit",
    ("server", "scope"),
    "Sessions that a limit of the server allows, without reserved slots.",
)
SERVER_HEADROOM = _gauge(
    "poolscope_server_headroom",
    ("server",),
    "Further sessions that the tightest limit of the server allows.",
)
CHECKOUTS_LEFT_OUT = _gauge(
    "poolscope_checkouts_left_out",
    ("server",),
    "Held checkouts that did not fit into the last poll of the server; they come next.",
)
ROOM_FOR_PODS = _gauge(
    "poolscope_room_for_pods",
    ("server", "pgbouncer", *INSTANCE_LABELS[:2]),
    "Further pods of the service that fit if all pools are as large as allowed; absent if unknown.",
)
POD_CONNECTIONS = _gauge(
    "poolscope_pod_connections_max",
    ("server", "pgbouncer", *INSTANCE_LABELS[:2]),
    "Connections that the largest pod of the service may open; absent if a pool has no limit.",
)
ORPHAN_SESSIONS = _gauge(
    "poolscope_orphan_sessions",
    ("server", *INSTANCE_LABELS[:2]),
    "Sessions that outlived their process and began no statement since; absent if unknown.",
)
SERVER_ACTIVE_ON_CPU = _gauge(
    "poolscope_server_active_on_cpu",
    ("server",),
    "Sessions that run a statement and wait for nothing; absent if some are hidden.",
)
SERVER_CPUS = _gauge(
    "poolscope_server_cpus",
    ("server",),
    "CPUs of the server, from the settings; absent without it.",
)
SERVER_UP = _gauge(
    "poolscope_server_up", ("server",), "1 if the last poll of the server succeeded, else 0."
)
PRIVILEGE_LEVEL = _gauge(
    "poolscope_privilege_level",
    ("server", "level"),
    "1 for the exporter's view of the sessions of other roles: full, member or own.",
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
    "1 for the role in the last poll, primary or replica; absent without an answer.",
)
SERVER_CHANGES = _counter(
    "poolscope_server_changes_total",
    ("server", "change"),
    "Changes of the server: replaced (a restart or a failover), or promoted in place.",
)
POLL_TIER_SECONDS = _counter(
    "poolscope_poll_tier_seconds_total",
    ("server", "tier"),
    "Time that queries waited for the server, by kind: at least their cost on the server.",
)
POLL_TIER_MISSED = _counter(
    "poolscope_poll_tier_missed_total",
    ("server", "tier"),
    "Queries that the server did not answer, by kind.",
)
EXPORTER_CONNECTIONS = _gauge(
    "poolscope_exporter_connections",
    ("server",),
    "Connections of the exporter to the server: at most one.",
)
PGBOUNCER_UP = _gauge(
    "poolscope_pgbouncer_up",
    ("pgbouncer",),
    "1 if the last poll of the PgBouncer succeeded, else 0.",
)
PGBOUNCER_CLIENTS = _gauge(
    "poolscope_pgbouncer_clients",
    ("pgbouncer", "state"),
    "Clients of the PgBouncer: active (with a server connection), idle, or waiting for one.",
)
PGBOUNCER_WAITING_CLIENTS = _gauge(
    "poolscope_pgbouncer_waiting_clients",
    ("pgbouncer", "database", "user"),
    "Clients that wait for a server connection, by PgBouncer's database and user.",
)
PGBOUNCER_LONGEST_WAIT = _gauge(
    "poolscope_pgbouncer_longest_wait_seconds",
    ("pgbouncer", "database", "user"),
    "Time for which the first waiting client has waited; 0 if none waits.",
)
PGBOUNCER_WAIT_TIME = _counter(
    "poolscope_pgbouncer_wait_seconds_total",
    ("pgbouncer", "database"),
    "Time that clients waited for a server connection since PgBouncer started.",
)
PGBOUNCER_QUERIES = _counter(
    "poolscope_pgbouncer_queries_total",
    ("pgbouncer", "database"),
    "Queries that went through PgBouncer since it started.",
)
PGBOUNCER_TRANSACTIONS = _counter(
    "poolscope_pgbouncer_transactions_total",
    ("pgbouncer", "database"),
    "Transactions that went through PgBouncer since it started.",
)
PGBOUNCER_ASSIGNMENTS = _counter(
    "poolscope_pgbouncer_server_assignments_total",
    ("pgbouncer", "database"),
    "Times that a client got a server connection; absent before PgBouncer 1.23.",
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
    "Clients that the PgBouncer allows, or server connections by its tightest limit of a kind.",
)
PGBOUNCER_HEADROOM = _gauge(
    "poolscope_pgbouncer_headroom",
    ("pgbouncer", "scope"),
    "Further clients that the PgBouncer allows, or server connections that it can lend.",
)
PGBOUNCER_POTENTIAL_CLIENTS = _gauge(
    "poolscope_pgbouncer_potential_clients",
    ("pgbouncer",),
    "Connections that the pools in front may open together; absent if one has no limit.",
)
PGBOUNCER_PAUSED = _gauge(
    "poolscope_pgbouncer_paused_databases",
    ("pgbouncer",),
    "Paused databases of the PgBouncer: their clients wait until RESUME.",
)
PGBOUNCER_RESOLUTIONS = _counter(
    "poolscope_pgbouncer_resolutions_total",
    ("target", "result"),
    "DNS lookups of the configured name of a PgBouncer, by result.",
)
PROXY_IDLE_TIMEOUT = _gauge(
    "poolscope_proxy_idle_timeout_seconds",
    ("source", "pgbouncer"),
    "Time after which a proxy or NAT ends an unused connection; absent if unlimited or unknown.",
)
CONFIG_CHECK = _gauge(
    "poolscope_config_check",
    (*POOL_LABELS, "check_id", "result"),
    "Always 1; names the result of a check of the pool's configuration: ok, warn, unknown, "
    "elsewhere.",
)
INSTANCE_LAST_PUSH_AGE = _gauge(
    "poolscope_instance_last_push_age_seconds",
    INSTANCE_LABELS,
    "Time since the last push of the application process.",
)
INSTANCE_INFO = _gauge(
    "poolscope_instance_info",
    (
        *INSTANCE_LABELS,
        *map(label_name, (wire.HOST_NAME, wire.K8S_POD_NAME, wire.PROCESS_PID)),
        "process",
    ),
    "Always 1; names an application process: its host, pod and PID, and process=host:pid.",
)
RECEIVER_REQUESTS = _counter(
    "poolscope_receiver_requests_total", ("result",), "OTLP requests received, by result."
)
RECEIVER_REFUSED = _counter(
    "poolscope_receiver_refused_total",
    ("reason",),
    "Received data points, checkouts and pushes that were refused, by reason.",
)
RECEIVER_IGNORED = _counter(
    "poolscope_receiver_ignored_total",
    ("signal",),
    "Received data points of metrics that are not about pools, spans, and log records, by signal.",
)
FORWARD_REQUESTS = _counter(
    "poolscope_forward_requests_total",
    ("result",),
    "Requests to the upstream endpoint, by result; absent without forwarding.",
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
    "Connections that the exporter closed by itself, by reason.",
)
SCRAPES_REFUSED = _counter(
    "poolscope_scrapes_refused_total",
    (),
    "Scrapes that were answered 503, because too many came at a time.",
)
OUTPUT_LOST = _counter(
    "poolscope_output_lost_total",
    ("stream",),
    "Dropped writes to standard output (events) and error (log), because no reader took them.",
)
STATE_FAILURES = _counter(
    "poolscope_state_failures_total",
    (),
    "Failed attempts to open or write the file in --state-dir; absent without that setting.",
)
EXPORTER_ROLE = _gauge(
    "poolscope_exporter_role",
    ("role",),
    "Always 1; standalone, or sidecar (judges only its pod, exposes no series of servers).",
)
BUILD_INFO = _gauge(
    "poolscope_build_info", ("version",), "Always 1; names the version of the exporter."
)

OWN_METRICS = (
    HELD_CHECKOUTS, OLDEST_CHECKOUT_AGE, LONG_HELD_CHECKOUTS, HOLDING_CALL, OCCUPANCY_TIME,
    HELD_IDLE_TIME,
    HELD_IN_TRANSACTION_TIME, HELD_SEEN_TIME, UNPROVEN_LEAKS, LEAKS_REFUTED,
    POOL_DIAGNOSIS, POOL_DESTINATION, LINKS,
    SERVER_CONNECTIONS, SERVER_SESSIONS, SERVER_CONNECTIONS_LIMIT, SERVER_HEADROOM,
    ORPHAN_SESSIONS,
    CHECKOUTS_LEFT_OUT, ROOM_FOR_PODS, POD_CONNECTIONS,
    SERVER_ACTIVE_ON_CPU, SERVER_CPUS, SERVER_UP, PRIVILEGE_LEVEL,
    POLL_LAST_SUCCESS, POLL_DURATION, POLL_FAILURES,
    SERVER_ROLE, SERVER_CHANGES, POLL_TIER_SECONDS, POLL_TIER_MISSED, EXPORTER_CONNECTIONS,
    PGBOUNCER_UP, PGBOUNCER_CLIENTS, PGBOUNCER_WAITING_CLIENTS, PGBOUNCER_LONGEST_WAIT,
    PGBOUNCER_WAIT_TIME, PGBOUNCER_QUERIES, PGBOUNCER_TRANSACTIONS, PGBOUNCER_ASSIGNMENTS,
    PGBOUNCER_POLL_LAST_SUCCESS, PGBOUNCER_POLL_DURATION,
    PGBOUNCER_POLL_FAILURES, PGBOUNCER_LIMIT, PGBOUNCER_HEADROOM, PGBOUNCER_POTENTIAL_CLIENTS,
    PGBOUNCER_PAUSED, PGBOUNCER_RESOLUTIONS, PROXY_IDLE_TIMEOUT, CONFIG_CHECK,
    INSTANCE_LAST_PUSH_AGE, INSTANCE_INFO, RECEIVER_REQUESTS, RECEIVER_REFUSED,
    RECEIVER_IGNORED, CONNECTIONS_CLOSED, FORWARD_REQUESTS, FORWARD_LOST, FORWARD_WAITING,
    FORWARD_WAITING_BYTES,
    SCRAPES_REFUSED, OUTPUT_LOST, STATE_FAILURES, EXPORTER_ROLE, BUILD_INFO,
)  # fmt: skip

"""State what the guides say of names, connections, code and systems, and where poolscope has it."""

from typing import Final

from poolscope_generators.tables.guide_statement import Coverage, GuideSection, GuideStatement

_COVERED, _PARTLY, _NOT = Coverage.COVERED, Coverage.PARTLY, Coverage.NOT

_NAMES: Final = GuideSection(
    "Metric names",
    (
        GuideStatement(
            "`pool.checked_out`: connections that callers hold",
            _COVERED,
            'Read [`db_client_connection_count{db_client_connection_state="used"}`]'
            "(metrics.md#metrics-of-the-app).",
            panels=("Pool: Connections by state",),
        ),
        GuideStatement(
            "`pool.checked_in`: open connections that wait in the pool",
            _COVERED,
            'Read [`db_client_connection_count{db_client_connection_state="idle"}`]'
            "(metrics.md#metrics-of-the-app). "
            "`poolscope_checkins_total` counts the connections that came back.",
            panels=("Pool: Connections by state", "Pool: Leaks and returns"),
        ),
        GuideStatement(
            "`pool.overflow`: open connections beyond `pool_size`",
            _COVERED,
            "Read [`poolscope_pool_overflow`](metrics.md#metrics-of-the-app).",
            panels=("Pool: Connections by state",),
        ),
    ),
)

_SIZING: Final = GuideSection(
    "Size",
    (
        GuideStatement(
            "Bigger pools are not better",
            _COVERED,
            "If the diagnosis is [`server_slow`](diagnoses.md), make the queries faster, or the "
            "server larger. A larger pool makes every query slower.",
            panels=("Pool: Diagnosis", "Server: Open and possible connections"),
            checks=("C1", "C8"),
        ),
        GuideStatement(
            "There is an optimal pool size for a load",
            _NOT,
            "If the diagnosis is [`undersized`](diagnoses.md), enlarge the pool, and check again.",
            missing="poolscope computes no best size.",
        ),
        GuideStatement(
            "`pool_size` fits the container's CPU and memory",
            _COVERED,
            "C1 shows the sum of the pod's pools, with the CPUs and the memory that its "
            "container may use. Lower `pool_size`, or run fewer processes in a pod.",
            panels=("Pool: Processes of this pool",),
            checks=("C1",),
        ),
        GuideStatement(
            "Autoscaling multiplies pools: plan for the largest number of pods",
            _COVERED,
            "Pass the autoscaler's maximum of processes with `--max-processes SERVICE=NUMBER`. "
            "C7 then checks the fleet at its largest. The page and the panel show how many more "
            "pods fit.",
            alerts=("DatabaseOverbooked", "PoolExhaustionPredicted"),
            panels=("Server: Room for more pods", "Server: Open and possible connections"),
            checks=("C7",),
        ),
    ),
)

_LIFE: Final = GuideSection(
    "The life of a connection",
    (
        GuideStatement(
            "Connections are created lazily or up front",
            _COVERED,
            "If first requests wait, "
            "[open connections before them]"
            "(fastapi.md#open-connections-before-the-first-request). The page has the argument "
            "for each library.",
            alerts=("PoolConnectSlow",),
            panels=(
                "Pool: First requests that open a connection",
                "Pool: Time to open a connection",
            ),
        ),
        GuideStatement(
            "Connections are reused",
            _COVERED,
            "If the pool opens about as many connections as it hands out, read check C16.",
            panels=("Pool: Connections opened and closed a second",),
            checks=("C16",),
        ),
        GuideStatement(
            "A connection is validated before its use (health check)",
            _COVERED,
            "Turn on `pool_pre_ping`; for psycopg_pool, set `check`.",
            panels=("Pool: Time of the pre-ping",),
            checks=("C5",),
        ),
        GuideStatement(
            "Connections are recycled by age",
            _COVERED,
            'Read `poolscope_connections_closed_total{poolscope_reason="recycled"}`: '
            "[the life of a connection]"
            "(configuration-checks.md#the-life-of-a-connection-c4-to-c6).",
            panels=("Pool: Connections opened and closed a second", "Pool: pool_recycle"),
            checks=("C4",),
        ),
        GuideStatement(
            "Idle connections are closed",
            _COVERED,
            'Read `poolscope_connections_closed_total{poolscope_reason="idle"}`: '
            "[the life of a connection]"
            "(configuration-checks.md#the-life-of-a-connection-c4-to-c6).",
            panels=("Pool: Connections opened and closed a second", "Pool: Idle time-out"),
            checks=("C4",),
        ),
        GuideStatement(
            "Broken connections are discarded",
            _COVERED,
            "Look up [why the connection was lost](metrics.md#why-a-connection-was-lost).",
            alerts=("PoolSessionsEnded", "PoolStaleSockets"),
            panels=("Pool: Broken connections, by reason",),
        ),
        GuideStatement(
            "A transaction pins its connection until it ends",
            _COVERED,
            "Commit before you call another service. The runbook shows how to find the line. The "
            "share counts connections held for a second or longer.",
            alerts=("PoolIdleInTransaction",),
            panels=(
                "Pool: Share of hold time in a transaction",
                "Pool: Connections held without use, by route",
            ),
        ),
        GuideStatement(
            "A leak loses the connection",
            _COVERED,
            "Go to the line of the alert. [Diagnoses](diagnoses.md) explains the evidence.",
            alerts=("PoolLeak",),
            panels=("Pool: Leaked now", "Pool: Leaks by route and line"),
        ),
    ),
)

_CODE: Final = GuideSection(
    "In the application",
    (
        GuideStatement(
            "One session for each request",
            _COVERED,
            "[One session for each request](fastapi.md#one-session-for-each-request). A request "
            "may hand its session over to one task.",
            alerts=("PoolSharedSessions",),
            checks=("C11",),
        ),
        GuideStatement(
            "`get_db` yields the session, commits, and rolls back on an error",
            _COVERED,
            "[One session for each request](fastapi.md#one-session-for-each-request) has the "
            "dependency.",
            alerts=("PoolLeak", "PoolIdleInTransaction"),
        ),
        GuideStatement(
            "`scoped_session` fails under asyncio",
            _COVERED,
            "[Why, and its replacement](fastapi.md#scoped_session-under-asyncio).",
            alerts=("PoolSharedSessions",),
            checks=("C11",),
        ),
        GuideStatement(
            "`expire_on_commit=False` for async sessions",
            _PARTLY,
            "[Its purpose](fastapi.md#what-expire_on_commitfalse-is-for). "
            "`poolscope_session_errors_total` has the line of each `MissingGreenlet` and "
            "`DetachedInstanceError`.",
            panels=("Pool: ORM attributes that failed to load",),
            missing="poolscope does not read the setting. It counts a session only after it has "
            "failed.",
        ),
        GuideStatement(
            "Stalled workers: a blocked event loop or a full thread pool looks like a small pool",
            _COVERED,
            "The diagnosis [`loop_blocked`](diagnoses.md) names the line. "
            "[`threads_exhausted`](diagnoses.md#when-threads-are-exhausted) has the numbers of "
            "threads.",
            alerts=("PoolLoopBlocked",),
            panels=("Pool: Event loop lag, top 10 processes",),
            checks=("C10",),
        ),
        GuideStatement(
            "A raw asyncpg pool needs a time-out, and closes idle connections",
            _COVERED,
            "[Differences from SQLAlchemy](asyncpg.md#what-is-different-from-sqlalchemy).",
            panels=("Pool: pool_timeout", "Pool: Idle time-out"),
            checks=("C3", "C4", "C14"),
        ),
        GuideStatement(
            "Scripts and serverless functions need no pool",
            _COVERED,
            "[When you need no pool](fastapi.md#when-you-need-no-pool).",
            checks=("C9",),
        ),
    ),
)

_SYSTEMS: Final = GuideSection(
    "Systems",
    (
        GuideStatement(
            "FastAPI: `yield` dependencies, async and sync routes",
            _COVERED,
            "[FastAPI and SQLAlchemy](fastapi.md).",
            panels=("Pool: Connections held, by route",),
        ),
        GuideStatement(
            "SQLAlchemy: `create_async_engine`, `async_sessionmaker`, `QueuePool`, `NullPool`",
            _COVERED,
            "[The counts of each pool](conformance.md).",
            panels=("Pool: Pool class and library",),
        ),
        GuideStatement(
            "Raw `asyncpg` pools with `acquire` and `release`; the `databases` library",
            _COVERED,
            "[Plain asyncpg](asyncpg.md).",
            panels=("Pool: Pool class and library",),
        ),
        GuideStatement(
            "aiomysql",
            _PARTLY,
            "The part in the app works: checkouts, leaks, waits, C14.",
            panels=("Pool: Diagnosis",),
            checks=("C14",),
            missing="The exporter polls PostgreSQL servers only. It has no sessions and no "
            "limits of MySQL.",
        ),
        GuideStatement(
            "PgBouncer in front of PostgreSQL",
            _COVERED,
            "[Behind PgBouncer](pgbouncer.md).",
            alerts=("PgBouncerHeadroomLow",),
            panels=("Server: PgBouncer",),
            checks=("C4", "C15"),
        ),
        GuideStatement(
            "RDS Proxy, Cloud SQL Auth Proxy",
            _PARTLY,
            "Declare the idle time-out: "
            "[recognised proxies](databases.md#proxies-that-poolscope-recognises).",
            checks=("C4",),
            missing="No test has run against either service. Checkouts through RDS Proxy cannot be "
            "linked to their sessions: [why](databases.md#behind-a-pooler-or-a-proxy).",
        ),
        GuideStatement(
            "Prometheus as destination",
            _COVERED,
            "Scrape `/metrics`: [every metric](metrics.md), [alerts](alerts.md), "
            "[dashboards](dashboards.md).",
            alerts=("PoolscopeAbsent",),
        ),
        GuideStatement(
            "OpenTelemetry as destination",
            _COVERED,
            "[Forward from the exporter](exporter.md#forwarding), or "
            "[publish from the app](zero-code.md#with-opentelemetrys-own-metrics).",
        ),
        GuideStatement(
            "Compare `pg_stat_activity`, the database-side process list, with checkout delays",
            _COVERED,
            "poolscope does this for each checkout: [how linking works](how-linking-works.md).",
            alerts=("PoolBlocked", "PoolIdleInTransaction"),
            panels=("Pool: Held connections by verdict", "Server: Sessions by state"),
        ),
    ),
)

PRACTICES: Final = (_NAMES, _SIZING, _LIFE, _CODE, _SYSTEMS)

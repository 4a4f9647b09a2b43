"""State what the guides say of signals and of settings, and where poolscope has each number."""

from typing import Final

from poolscope_generators.tables.guide_statement import Coverage, GuideSection, GuideStatement

_COVERED, _PARTLY, _NOT = Coverage.COVERED, Coverage.PARTLY, Coverage.NOT

SIGNALS: Final = GuideSection(
    "Signals to alert on",
    (
        GuideStatement(
            "Checkout latency above 500 ms for 2 minutes: raise `max_overflow`, or scale the "
            "database",
            _COVERED,
            "Read the diagnosis first. A larger pool helps only [`undersized`](diagnoses.md).",
            rows=("T1",),
            alerts=("PoolCheckoutSlow",),
            panels=("Pool: Time to get a connection",),
        ),
        GuideStatement(
            "`pool.checked_out` = `pool_size + max_overflow`: look for sessions that are never "
            "yielded back",
            _COVERED,
            "A full pool without waiting callers may be healthy: "
            "[what the alerts leave out](alerts.md#what-the-alerts-leave-out-on-purpose).",
            rows=("T2",),
            alerts=("PoolExhausted", "PoolFull", "PoolNearExhaustion"),
            panels=("Pool: Fullest processes, top 10",),
        ),
        GuideStatement(
            "Check-in rate below check-out rate for 5 minutes: audit exception paths for leaks",
            _COVERED,
            "The comparison alone fires on every busy morning. So the alert uses the least number "
            "of checked-out connections: "
            "[what the alerts leave out](alerts.md#what-the-alerts-leave-out-on-purpose).",
            rows=("T3",),
            alerts=("PoolLeakSuspected",),
            panels=("Pool: Check-outs and check-ins a second",),
        ),
        GuideStatement(
            "`pool.checked_out` rises with no matching check-ins: this is a connection leak",
            _COVERED,
            "Go to the route and the line that the alert names.",
            rows=("T4",),
            alerts=("PoolLeak", "PoolLeakSuspected"),
            panels=(
                "Pool: Leaks by route and line",
                "Pool: Lowest connections in use, top 10 processes",
            ),
        ),
        GuideStatement(
            "Wait in the pool's queue of 2 s or more: `max_overflow` is too small",
            _COVERED,
            "Raise `max_overflow` if the diagnosis is [`undersized`](diagnoses.md).",
            rows=("T5",),
            alerts=("PoolQueueLong",),
            panels=("Pool: Time in the pool queue",),
        ),
        GuideStatement(
            "Pool time-outs below 0.1 % of the checkouts, or `pool_timeout` is wrong or the pool "
            "exhausted",
            _PARTLY,
            "Follow the runbook. `poolscope_checkout_failures_total` has all other failures. "
            "PoolConnectFailing pages if connections cannot be opened.",
            rows=("T6",),
            alerts=("PoolTimeoutBudgetBurn", "PoolConnectFailing"),
            panels=("Overview: Share of checkouts that timed out",),
            missing="The share has time-outs only, not every error. It needs 5 time-outs in its "
            "window, so a service with little traffic is reported late.",
        ),
        GuideStatement(
            "Database CPU below 70 % at peak, or `pool_size` is too large for the server",
            _PARTLY,
            "Set `--server-cpus`, or record [your own CPU series](alerts.md#your-own-cpu-series).",
            rows=("T7",),
            alerts=("DatabaseCpuSaturated",),
            panels=("Server: Busy CPUs over time",),
            missing="PostgreSQL does not report its CPUs. Without one of the two, there is no "
            "number. The panels do not read your CPU series.",
        ),
        GuideStatement(
            "Stale socket at checkout (connection reset, closed by a proxy): recycle earlier, turn "
            "pre-ping on",
            _COVERED,
            "Look up [why the connection was lost](metrics.md#why-a-connection-was-lost).",
            rows=("T8",),
            alerts=("PoolStaleSockets", "PoolStaleSocketsCaught"),
            panels=("Pool: Broken connections, by reason",),
            checks=("C4", "C5"),
        ),
        GuideStatement(
            "Client connections against `max_connections` less a reserve of 20 to 30 %: fewer or "
            "smaller pools, or a larger quota",
            _COVERED,
            "The tightest limit counts: of the server, the role or the database.",
            rows=("T9",),
            alerts=("DatabaseHeadroomLow", "DatabaseLimitNear", "DatabaseFull"),
            panels=("Server: Headroom", "Server: Headroom over time"),
        ),
        GuideStatement(
            "Time in the pool's queue (`pool_timeout`) apart from time to open a socket "
            "(`connect_timeout`)",
            _COVERED,
            "[Two time-outs](configuration-checks.md#two-time-outs-c3-and-c14) need different "
            "changes.",
            rows=("T10",),
            alerts=("PoolQueueLong", "PoolConnectSlow"),
            panels=("Pool: Parts of the wait", "Pool: Callers by phase"),
            checks=("C14",),
        ),
    ),
)

CONFIGURATION: Final = GuideSection(
    "Settings",
    (
        GuideStatement(
            "`pool_size` 5 to 20 per pod, start at 5 to 10: sustained concurrency, not "
            "guesswork; 1000 is an incident",
            _COVERED,
            "C1 adds up your workers: 4 workers with a `pool_size` of 5 are 20 per pod.",
            rows=("C1",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: pool_size",),
            checks=("C1",),
        ),
        GuideStatement(
            "`max_overflow` 50 to 100 % of `pool_size`, start at 50 %: absorbs bursts before "
            "requests queue",
            _COVERED,
            "Set `max_overflow` to a value in the range that the check shows.",
            rows=("C2",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: max_overflow share",),
            checks=("C2",),
        ),
        GuideStatement(
            "`pool_timeout` 10 to 30 s: shorter fails too eagerly, longer hides exhaustion",
            _COVERED,
            "[Two time-outs](configuration-checks.md#two-time-outs-c3-and-c14).",
            rows=("C3",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: pool_timeout",),
            checks=("C3",),
        ),
        GuideStatement(
            "`pool_recycle` at most 75 % of the proxy's idle time-out; 300 to 600 s behind "
            "cloud NAT",
            _PARTLY,
            "Declare `--proxy-idle-timeout` or `--nat-idle-timeout`: "
            "[the life of a connection]"
            "(configuration-checks.md#the-life-of-a-connection-c4-to-c6).",
            rows=("C4",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: pool_recycle", "Pool: Idle time-out"),
            checks=("C4",),
            missing="Nothing in an ordinary address names a proxy or a NAT. There is no C4 until "
            "you declare it. Addresses of managed proxies are "
            "[recognised](databases.md#proxies-that-poolscope-recognises).",
        ),
        GuideStatement(
            "`pool_pre_ping` on: typically costs less than 2 ms, prevents cascading failures",
            _COVERED,
            "The check has the measured ping. Above 2 ms you get a note, from 20 ms on a warning "
            "about the network.",
            rows=("C5",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: pool_pre_ping", "Pool: Time of the pre-ping"),
            checks=("C5",),
        ),
        GuideStatement(
            "TCP keepalive 300 to 600 s: the usual default of 7200 s is too long for cloud "
            "networks",
            _COVERED,
            "Judged only where a NAT or a proxy is declared or recognised. "
            "[The setting depends on the driver]"
            "(configuration-checks.md#the-keepalive-of-each-driver-c6).",
            rows=("C6",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: TCP keepalive",),
            checks=("C6",),
        ),
        GuideStatement(
            "Σ over all processes of (`pool_size + max_overflow`) at most `max_connections` less "
            "20 to 30 %",
            _COVERED,
            "Let all apps of a server push to [one exporter](exporter.md#roles), and declare "
            "[the largest fleet](configuration-checks.md#the-largest-fleet). "
            "[In a sidecar](configuration-checks.md#in-a-sidecar), C7 is `elsewhere` unless it "
            "warns: run `audit` against the exporter of all pods.",
            rows=("C7",),
            alerts=("DatabaseOverbooked",),
            panels=(
                "Server: Open and possible connections",
                "Server: Pools by maximum connections",
            ),
            checks=("C7",),
        ),
        GuideStatement(
            "Never `pool_size = max_connections`: no room for workers, migrations, spikes",
            _COVERED,
            "Make the pool smaller, or raise the server's limit.",
            rows=("C8",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: Configuration checks",),
            checks=("C8",),
        ),
        GuideStatement(
            "`AsyncAdaptedQueuePool` with async drivers; `NullPool` only for serverless or "
            "ephemeral work",
            _COVERED,
            "[When you need no pool](fastapi.md#when-you-need-no-pool).",
            rows=("C9",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: Pool class and library",),
            checks=("C9",),
        ),
        GuideStatement(
            "Never use a synchronous engine from an event loop",
            _COVERED,
            "Use an async engine, or a plain `def` route: [the app](fastapi.md#the-app).",
            rows=("C10",),
            alerts=("PoolBlockingCheckouts",),
            panels=("Pool: Misuse of the pool",),
            checks=("C10",),
        ),
        GuideStatement(
            "Never share one session between concurrent requests or tasks: races and stale reads",
            _COVERED,
            "[One session for each request](fastapi.md#one-session-for-each-request).",
            rows=("C11",),
            alerts=("PoolSharedSessions",),
            panels=("Pool: Misuse of the pool",),
            checks=("C11",),
        ),
        GuideStatement(
            "Release the connection on every path: `async with`, `yield` dependency, `try/finally`",
            _COVERED,
            "Find the missing path [in your tests](fastapi.md#in-the-tests-before-it-is-deployed).",
            rows=("C12",),
            alerts=("PoolLeak",),
            panels=("Pool: Leaks by route and line",),
        ),
        GuideStatement(
            "Validate pool behaviour under synthetic peak load before going live",
            _NOT,
            "Run your own load test, then `poolscope-exporter audit`, and read the "
            "[diagnosis](diagnoses.md) during the load.",
            rows=("C13",),
            missing="poolscope has no load test.",
        ),
        GuideStatement(
            "`connect_timeout` set, and below `pool_timeout`: misconfiguring either hides the root "
            "cause",
            _COVERED,
            "[Two time-outs](configuration-checks.md#two-time-outs-c3-and-c14) has the setting of "
            "each driver.",
            rows=("C14",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: connect_timeout",),
            checks=("C14",),
        ),
    ),
)

OWN: Final = GuideSection(
    "Checks that the guides do not have",
    (
        GuideStatement(
            "Prepared statements behind a transaction pooler: off, or tracked by the "
            "pooler (from public reports)",
            _COVERED,
            "[Prepared statements](pgbouncer.md#prepared-statements-and-c15).",
            rows=("C15",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: Configuration checks",),
            checks=("C15",),
        ),
        GuideStatement(
            "One engine for each process, not for each request",
            _COVERED,
            "Make the engine at the line that the check names, once: "
            "[C16](configuration-checks.md#the-life-of-a-connection-c4-to-c6).",
            rows=("C16",),
            alerts=("PoolMisconfigured",),
            panels=("Pool: Configuration checks",),
            checks=("C16",),
        ),
    ),
)

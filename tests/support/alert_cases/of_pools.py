"""Histories of one pool of one process: ten connections, or what a case says."""

from collections.abc import Mapping
from dataclasses import replace

from poolscope import catalogue as wire
from poolscope.catalogue import Metric
from poolscope_alerts.model import CALLERS_HURT
from poolscope_alerts.promql import (
    CALL_SITE,
    EVIDENCE,
    KIND,
    PHASE,
    REASON,
    ROUTE,
    STATE,
    USED_AT,
    name,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from support.alert_cases.case import AlertCase, Level, counter, gauge, labelled

SERVICE_POOL = {
    "service_namespace": "shop",
    "service_name": "orders",
    "db_client_connection_pool_name": "main",
    "db_namespace": "orders",
    "server_address": "db.example",
    "server_port": "5432",
}
POOL = {**SERVICE_POOL, "service_instance_id": "a1"}
PROCESS = {"service_namespace": "shop", "service_name": "orders", "service_instance_id": "a1"}
OTHER_TRANSPORT = {"job": "otlp", "instance": "10.0.0.7:9736"}
SHARED = {
    **POOL,
    REASON: "requests",
    CALL_SITE: "shop/db.py:12",
    USED_AT: "shop/orders.py:133",
}
LEAK = {**POOL, EVIDENCE: "request_finished", ROUTE: "/export", CALL_SITE: "shop/orders.py:133"}
COLLECTED = {**LEAK, EVIDENCE: "garbage_collected"}
LEAKED = labelled(name(wire.LEAKS), LEAK)
BACK = labelled(name(wire.LEAKS_RECOVERED), LEAK)
HOARDING = {ROUTE: "/reports", CALL_SITE: "shop/reports.py:51"}


def of(metric: Metric, suffix: str = "", **labels: str) -> str:
    """Return a series of the pool as an exporter's scrape stores it."""
    return labelled(name(metric) + suffix, {**POOL, **OTHER_TRANSPORT}, **labels)


USED = of(wire.COUNT, **{STATE: "used"})
IDLE = of(wire.COUNT, **{STATE: "idle"})
MAX = of(wire.MAX)
PENDING = of(wire.PENDING_REQUESTS)
TIMEOUTS = of(wire.TIMEOUTS)
CHECKOUTS = of(wire.CHECKOUTS)
CHECKINS = of(wire.CHECKINS)
WAITS = of(wire.WAIT_TIME, "_count")
QUEUE = of(wire.QUEUE_TIME, "_count")
OPENED = of(wire.CREATE_TIME, "_count")
FAILED = of(wire.CHECKOUT_FAILURES, **{REASON: "timeout"})
CANCELLED = of(wire.CHECKOUT_FAILURES, **{REASON: "cancelled"})


def held(verdict: str, **labels: str) -> str:
    """Return a held checkout."""
    more = {"verdict": verdict, "evidence": "", ROUTE: "/export", **labels}
    return labelled(own.HELD_CHECKOUTS.name, {**POOL, **OTHER_TRANSPORT}, **more)


def lost(reason: str) -> str:
    """Return the lost connections of a reason."""
    return of(wire.INVALIDATED, **{REASON: reason})


def diagnosis(which: Diagnosis) -> str:
    """Return the series of a diagnosis: 1 if it applies."""
    return labelled(own.POOL_DIAGNOSIS.name, {**POOL, **OTHER_TRANSPORT}, diagnosis=which.value)


OLDEST = labelled(own.OLDEST_CHECKOUT_AGE.name, {**POOL, **OTHER_TRANSPORT})
HOARD = labelled(own.LONG_HELD_CHECKOUTS.name, {**POOL, **OTHER_TRANSPORT}, **HOARDING)
FIFTEEN_MINUTES_S = 900


def _event(alert: str, metric: Metric, on_s: int | None = None, /, **labels: str) -> AlertCase:
    series: dict[str, Level] = {of(metric, **labels): counter(1, 0)}
    return AlertCase(alert, series, POOL, warm_s=30, clear_s=615, on_s=on_s)


def _leak(
    loss: str,
    series: dict[str, Level],
    labels: dict[str, str],
    clear_s: int = 15,
    optional: tuple[str, ...] = (),
) -> AlertCase:
    """Return a case of leaks in a pool whose connections are all in use, but not all leaked."""
    everything = {**series, USED: gauge(10)}
    static = {"loss": loss}
    warm_s = 30 if loss == "collected" else 0
    return AlertCase(
        "PoolLeak", everything, labels, static, warm_s=warm_s, clear_s=clear_s, optional=optional
    )


def _burn(long: str, short: str, per_1000: float, on_s: int, lasts_s: int) -> AlertCase:
    """Return a case that is just over a budget, from the first sample on."""
    return AlertCase(
        "PoolTimeoutBudgetBurn",
        {
            TIMEOUTS: counter(per_1000, per_1000 - 1, 0),
            CHECKOUTS: counter(1000 - per_1000, 1001 - per_1000, 1000),
            FAILED: counter(per_1000, per_1000 - 1, 0),
        },
        SERVICE_POOL,
        static={"long": long, "short": short},
        step_s=60,
        before_s=0,
        warm_s=600,
        clear_s=lasts_s,
        on_s=on_s,
    )


def _cause(
    alert: str,
    which: Diagnosis,
    labels: Mapping[str, str] = POOL,
    more: Mapping[str, Level] | None = None,
) -> AlertCase:
    """Return a case of a cause that is critical because a caller waits for a full pool."""
    series = {
        diagnosis(which): gauge(1, 0),
        USED: gauge(10),
        MAX: gauge(10),
        PENDING: gauge(2),
        **(more or {}),
    }
    return AlertCase(alert, series, labels, static=CALLERS_HURT)


def _of_a_living_process(case: AlertCase) -> AlertCase:
    """Return the case of a process that has connections: without them it has ended."""
    has_some = any(series.startswith(name(wire.COUNT)) for series in case.series)
    return case if has_some else replace(case, series={**case.series, IDLE: gauge(1)})


_CASES = (
    _leak("pool", {LEAKED: gauge(5, 1), MAX: gauge(10)}, LEAK),
    _leak("connections", {LEAKED: gauge(1, 0), MAX: gauge(10)}, LEAK, optional=(MAX,)),
    _leak("returned", {LEAKED: gauge(4, 0), BACK: gauge(3, 0)}, LEAK),
    _leak(
        "collected", {labelled(name(wire.LEAKS), COLLECTED): counter(1, 0)}, COLLECTED, clear_s=615
    ),
    AlertCase(
        "PoolLeakSuspected",
        # A gauge that grows: its floor rises with every window.
        {
            USED: counter(1 / 8, 0),
            CHECKOUTS: counter(10),
            OLDEST: counter(15, 0),
            HOARD: counter(1 / 8, 0),
        },
        {**POOL, **HOARDING},
        before_s=900,
        warm_s=600,
        clear_s=300,
    ),
    AlertCase(
        "PoolExhausted",
        {USED: gauge(10, 9), MAX: gauge(10), PENDING: gauge(1)},
        POOL,
    ),
    AlertCase(
        "PoolStuck",
        {
            USED: gauge(10, 9),
            MAX: gauge(10),
            PENDING: gauge(1),
            CHECKINS: counter(0, 5),
        },
        POOL,
        warm_s=120,
        on_s=150,
    ),
    AlertCase("PoolFull", {USED: gauge(2, 1), MAX: gauge(2)}, POOL),
    AlertCase("PoolNearExhaustion", {USED: gauge(8, 7), MAX: gauge(10)}, POOL),
    AlertCase(
        "PoolExhaustionPredicted",
        # One more each minute, and 75 are out: a hundred will be before long.
        {USED: counter(0.25), MAX: gauge(100, 130)},
        POOL,
        before_s=4500,
    ),
    AlertCase(
        "PoolCheckoutSlow",
        {
            WAITS: counter(1000),
            of(wire.WAIT_TIME, "_bucket", le="0.5"): counter(948, 951),
            FAILED: counter(0),
        },
        POOL,
        warm_s=120,
        clear_s=150,
        on_s=75,
        optional=(FAILED,),
    ),
    AlertCase(
        "PoolConnectFailing",
        {
            of(wire.CONNECT_ERRORS, **{KIND: "refused"}): counter(11, 10, 0),
            of(wire.OPENED): counter(10),
        },
        {**SERVICE_POOL, KIND: "refused"},
        warm_s=60,
        clear_s=75,
    ),
    AlertCase(
        "PoolConnectSlow",
        {
            OPENED: counter(10),
            of(wire.CREATE_TIME, "_bucket", le="1.0"): counter(4.8, 5.1),
        },
        POOL,
        warm_s=120,
        clear_s=150,
        on_s=75,
    ),
    AlertCase(
        "PoolQueueLong",
        {
            WAITS: counter(100),
            QUEUE: counter(20),
            of(wire.QUEUE_TIME, "_bucket", le="2.0"): counter(18, 19.1),
            CANCELLED: counter(0),
        },
        POOL,
        warm_s=300,
        clear_s=300,
        optional=(CANCELLED,),
    ),
    _burn("1h", "5m", 15, 120, 420),
    _burn("6h", "30m", 6.5, 600, 1860),
    _burn("1d", "2h", 3.5, 1800, 7260),
    _burn("3d", "6h", 1.5, 3600, 21660),
    _burn("1h", "30m", 1.5, 300, 3660),
    _event("PoolStaleSockets", wire.INVALIDATED, 15, **{REASON: "socket"}),
    _event("PoolStaleSocketsCaught", wire.INVALIDATED, 15, **{REASON: "ping"}),
    AlertCase(
        "PoolSessionsEnded",
        {lost("idle_in_transaction_timeout"): counter(1, 0)},
        {**POOL, REASON: "idle_in_transaction_timeout"},
        warm_s=30,
        clear_s=615,
        on_s=15,
    ),
    AlertCase(
        "PoolIdleInTransaction",
        {held("idle_in_transaction"): gauge(2, 0)},
        POOL,
        warm_s=225,
        clear_s=75,
    ),
    AlertCase("PoolBlocked", {held("blocked"): gauge(1, 0)}, POOL, warm_s=45, clear_s=45),
    _cause("PoolBlocked", Diagnosis.BLOCKED),
    _cause("PoolSlowQueries", Diagnosis.SLOW_QUERIES),
    _cause("PoolServerFull", Diagnosis.SERVER_FULL),
    _cause("PoolConnectSlow", Diagnosis.CONNECTING),
    _cause("PoolLoopBlocked", Diagnosis.LOOP_BLOCKED, PROCESS),
    _cause(
        "PoolIdleInTransaction",
        Diagnosis.HELD_IDLE,
        more={held("idle_in_transaction"): gauge(8, 0)},
    ),
    _event("PoolBlockingCheckouts", wire.BLOCKING_CHECKOUTS),
    AlertCase(
        "PoolDeadlocked",
        {
            of(wire.HELD_BY_WAITERS): gauge(10, 9),
            USED: gauge(10),
            MAX: gauge(10),
            of(wire.PENDING_AGE, **{PHASE: "queue"}): gauge(6),
        },
        POOL,
    ),
    AlertCase(
        "PoolLoopBlocked",
        {
            labelled(name(wire.EVENT_LOOP_BLOCKED_TIME), {**PROCESS, **OTHER_TRANSPORT}): counter(
                0.8, 0.7, 0
            )
        },
        PROCESS,
        warm_s=120,
        clear_s=150,
    ),
    _event("PoolNestedCheckouts", wire.NESTED_CHECKOUTS),
    AlertCase(
        "PoolSharedSessions",
        {labelled(name(wire.SHARED_CONNECTIONS), SHARED): counter(1, 0)},
        SHARED,
        warm_s=30,
        clear_s=615,
    ),
    AlertCase(
        "PoolSharedAcrossFork",
        {diagnosis(Diagnosis.SHARED_ACROSS_FORK): gauge(1, 0)},
        POOL,
        clear_s=615,
    ),
    AlertCase(
        "PoolMisconfigured",
        {
            labelled(
                own.CONFIG_CHECK.name,
                {**POOL, **OTHER_TRANSPORT},
                check_id="C1",
                result="warn",
            ): gauge(1, 0)
        },
        {**SERVICE_POOL, "check_id": "C1"},
    ),
)

POOL_CASES = tuple(map(_of_a_living_process, _CASES))

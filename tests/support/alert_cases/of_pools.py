"""Histories of one pool of one process: ten connections, or what a case says."""

from poolscope import catalogue as wire
from poolscope.catalogue import Metric
from poolscope_alerts.promql import CALL_SITE, EVIDENCE, KIND, REASON, ROUTE, STATE, name
from poolscope_exporter.core import own_metrics as own
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
OTHER_TRANSPORT = {"job": "otlp", "instance": "10.0.0.7:9736"}
LEAK = {**POOL, EVIDENCE: "request_finished", ROUTE: "/export", CALL_SITE: "shop/orders.py:133"}


def of(metric: Metric, suffix: str = "", **labels: str) -> str:
    """Return a series of the pool as an exporter's scrape stores it."""
    return labelled(name(metric) + suffix, {**POOL, **OTHER_TRANSPORT}, **labels)


USED = of(wire.COUNT, **{STATE: "used"})
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


OLDEST = labelled(own.OLDEST_CHECKOUT_AGE.name, {**POOL, **OTHER_TRANSPORT})
FIFTEEN_MINUTES_S = 900


def _event(alert: str, metric: Metric, **labels: str) -> AlertCase:
    series: dict[str, Level] = {of(metric, **labels): counter(1, 0)}
    return AlertCase(alert, series, POOL, warm_s=30, clear_s=615)


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


POOL_CASES = (
    AlertCase(
        "PoolLeak",
        {
            labelled(name(wire.LEAKS), LEAK): counter(1, 0),
            labelled(name(wire.LEAKS_RECOVERED), LEAK): counter(0),
        },
        LEAK,
        warm_s=30,
        clear_s=615,
        optional=(labelled(name(wire.LEAKS_RECOVERED), LEAK),),
    ),
    AlertCase(
        "PoolLeakSuspected",
        # A gauge that grows: its floor rises with every window.
        {USED: counter(1 / 8, 0), CHECKOUTS: counter(10), OLDEST: counter(15, 0)},
        POOL,
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
    _event("PoolStaleSockets", wire.INVALIDATED, **{REASON: "error"}),
    _event("PoolStaleSocketsCaught", wire.INVALIDATED, **{REASON: "ping"}),
    AlertCase(
        "PoolIdleInTransaction",
        {held("idle_in_transaction"): gauge(2, 0)},
        {**POOL, ROUTE: "/export"},
    ),
    AlertCase("PoolBlocked", {held("blocked"): gauge(1, 0)}, {**POOL, ROUTE: "/export"}),
    _event("PoolBlockingCheckouts", wire.BLOCKING_CHECKOUTS),
    _event("PoolNestedCheckouts", wire.NESTED_CHECKOUTS),
    _event("PoolSharedSessions", wire.SHARED_CONNECTIONS),
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

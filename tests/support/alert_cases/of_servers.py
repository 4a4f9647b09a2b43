"""Histories of one database server with 100 sessions, and of a PgBouncer before it."""

from poolscope_alerts.servers import USER_CPU
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.own_metrics import OwnMetric
from support.alert_cases.case import AlertCase, gauge, labelled
from support.alert_cases.of_pools import OTHER_TRANSPORT, POOL

SERVER = {"server": "db.example:5432"}
BOUNCER = {"pgbouncer": "10.0.0.2:6432", "scope": "clients"}


def of(metric: OwnMetric, **labels: str) -> str:
    """Return a series of the server."""
    return labelled(metric.name, {**SERVER, **OTHER_TRANSPORT}, **labels)


def of_pool(metric: OwnMetric, **labels: str) -> str:
    """Return a series in which the exporter judges a pool."""
    return labelled(metric.name, {**POOL, **OTHER_TRANSPORT}, **labels)


def of_bouncer(metric: OwnMetric) -> str:
    """Return a series of the PgBouncer."""
    return labelled(metric.name, {**BOUNCER, **OTHER_TRANSPORT})


FREE = of(own.SERVER_HEADROOM)
LIMIT = of(own.SERVER_CONNECTIONS_LIMIT, scope="server")
ROLE_LIMIT = of(own.SERVER_CONNECTIONS_LIMIT, scope="role")
DATABASE_LIMIT = of(own.SERVER_CONNECTIONS_LIMIT, scope="database")
IDLE = of(own.SERVER_CONNECTIONS, state="idle")
ACTIVE = of(own.SERVER_CONNECTIONS, state="active")
ON_CPU = of(own.SERVER_ACTIVE_ON_CPU)
CPUS = of(own.SERVER_CPUS)
USERS = labelled(USER_CPU, SERVER)

SERVER_CASES = (
    AlertCase("DatabaseFull", {FREE: gauge(0, 1)}, SERVER),
    AlertCase(
        "DatabaseHeadroomLow",
        {IDLE: gauge(60), ACTIVE: gauge(20, 19), LIMIT: gauge(100)},
        SERVER,
    ),
    AlertCase(
        "DatabaseLimitNear",
        {
            FREE: gauge(4, 5),
            ROLE_LIMIT: gauge(20),
            DATABASE_LIMIT: gauge(50),
            LIMIT: gauge(100),
            IDLE: gauge(16, 15),
        },
        SERVER,
        optional=(ROLE_LIMIT, DATABASE_LIMIT),
    ),
    AlertCase(
        "DatabaseOverbooked",
        {
            of_pool(own.CONFIG_CHECK, check_id="C7", result="warn"): gauge(1, 0),
            of_pool(own.POOL_DESTINATION, **SERVER): gauge(1),
        },
        SERVER,
    ),
    AlertCase(
        "DatabaseCpuSaturated",
        {ON_CPU: gauge(6, 5), CPUS: gauge(8)},
        SERVER,
        warm_s=300,
        clear_s=300,
    ),
    AlertCase(
        "PgBouncerHeadroomLow",
        {
            of_bouncer(own.PGBOUNCER_HEADROOM): gauge(20, 21),
            of_bouncer(own.PGBOUNCER_LIMIT): gauge(100),
        },
        BOUNCER,
    ),
)

"""Histories of one database server with 100 sessions, and of a PgBouncer before it."""

from poolscope import catalogue as wire
from poolscope_alerts.promql import KIND
from poolscope_alerts.servers import USER_CPU
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.own_metrics import OwnMetric
from support.alert_cases.case import AlertCase, counter, gauge, labelled
from support.alert_cases.of_pools import OTHER_TRANSPORT, POOL, lost
from support.alert_cases.of_pools import of as of_application

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
UP = of(own.SERVER_UP)
REFUSED_POLLS = of(own.POLL_FAILURES, reason="refused")
REFUSED_CONNECTS = of_application(wire.CONNECT_ERRORS, **{KIND: "refused"})
LEADS_HERE = of_pool(own.POOL_DESTINATION, **SERVER)
REPLACED = of(own.SERVER_CHANGES, change="replaced")

SERVER_CASES = (
    AlertCase(
        "DatabaseDown",
        {
            UP: gauge(0),
            REFUSED_POLLS: counter(1),
            LEADS_HERE: gauge(1),
            REFUSED_CONNECTS: counter(2, 0),
        },
        SERVER,
        warm_s=30,
        clear_s=75,
    ),
    AlertCase(
        "DatabaseRestarted",
        {REPLACED: counter(1, 0), LEADS_HERE: gauge(1), lost("admin"): counter(2, 0)},
        SERVER,
        warm_s=30,
        clear_s=615,
        optional=(LEADS_HERE, lost("admin")),
    ),
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

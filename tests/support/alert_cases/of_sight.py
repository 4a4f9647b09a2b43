"""Histories of an exporter that sees less and less."""

from poolscope_exporter.core import own_metrics as own
from support.alert_cases.case import AlertCase, counter, gauge, gone, labelled
from support.alert_cases.of_pools import OTHER_TRANSPORT
from support.alert_cases.of_servers import SERVER, of

SERVICE = {"service_namespace": "shop", "service_name": "orders"}
INSTANCE = {**SERVICE, "service_instance_id": "a1", **OTHER_TRANSPORT}
BOUNCER = {"pgbouncer": "10.0.0.2:6432"}

SIGHT_CASES = (
    AlertCase("PoolscopePollFailing", {of(own.SERVER_UP): gauge(0, 1)}, SERVER),
    AlertCase(
        "PoolscopePgBouncerFailing",
        {labelled(own.PGBOUNCER_UP.name, {**BOUNCER, **OTHER_TRANSPORT}): gauge(0, 1)},
        BOUNCER,
    ),
    AlertCase(
        "PoolscopePrivilegesLost", {of(own.PRIVILEGE_LEVEL, level="full"): gauge(0, 1)}, SERVER
    ),
    AlertCase(
        "PoolscopeServiceSilent",
        {labelled(own.INSTANCE_LAST_PUSH_AGE.name, INSTANCE): gauge(121, 120)},
        SERVICE,
        remembers=True,
    ),
    AlertCase(
        "PoolscopeExporterLost",
        {of(own.SERVER_UP): gone(1)},
        SERVER,
        before_s=1800,
        # Prometheus remembers a series for five minutes.
        warm_s=300,
        on_s=405,
        remembers=True,
    ),
    AlertCase(
        "PoolscopeRefusing",
        {
            labelled(own.RECEIVER_REFUSED.name, OTHER_TRANSPORT, reason="too_many_pools"): counter(
                1, 0
            )
        },
        {"reason": "too_many_pools"},
        warm_s=30,
        clear_s=615,
        on_s=15,
    ),
    # What is absent fires: nothing else is its history.
    AlertCase("PoolscopeAbsent", {labelled(own.BUILD_INFO.name, {"version": "0"}): gauge(1)}, {}),
)

"""The example for Alertmanager: who is told what, and what an alert silences."""

from pathlib import Path

import pytest

from poolscope_alerts.__main__ import FOLDER
from support.alert_cases.of_pools import POOL, SERVICE_POOL
from support.processes.child_processes import wait_until
from support.prometheus.alertmanager import amtool, an_alertmanager, require_alertmanager

EXAMPLE = FOLDER / "alertmanager.yaml"
OTHER_PROCESS = {**POOL, "service_instance_id": "a2"}
OTHER_POOL = {**POOL, "db_client_connection_pool_name": "reports"}
OTHER_SERVICE = {**SERVICE_POOL, "service_name": "other"}
SERVER = {"server": "db.example:5432"}
OTHER_SERVER = {"server": "replica.example:5432"}
LESSER = (
    "PoolFull",
    "PoolNearExhaustion",
    "PoolExhaustionPredicted",
    "PoolCheckoutSlow",
    "PoolQueueLong",
)
UNRELATED = ("PoolFull", "PoolCheckoutSlow", "PoolQueueLong")
"""Of the lesser ones those that do not silence one another."""


@pytest.fixture(autouse=True)
def _alertmanager() -> None:
    require_alertmanager()


def named(name: str, labels: dict[str, str], **more: str) -> dict[str, str]:
    return {"alertname": name, **labels, **more}


def of_pool(name: str, labels: dict[str, str], **more: str) -> dict[str, str]:
    """Return an alert on a pool; a warning, unless the test is about its severity."""
    return named(name, labels, **{"component": "connection-pool", "severity": "warning", **more})


def page(name: str, labels: dict[str, str], **more: str) -> dict[str, str]:
    return of_pool(name, labels, severity="critical", **more)


def in_order(alerts: list[dict[str, str]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted(labels.items()) for labels in alerts)


def expect_alerts(
    alerts: list[dict[str, str]], folder: Path, silenced: list[dict[str, str]]
) -> None:
    """Let the alerts fire; hold that just those are silenced."""
    with an_alertmanager(EXAMPLE, folder) as manager:
        manager.post([*alerts, *silenced])

        def as_expected() -> bool:
            found = manager.suppressed(), manager.active()
            return tuple(map(in_order, found)) == (in_order(silenced), in_order(alerts))

        assert wait_until(as_expected), (manager.suppressed(), manager.active())


def test_the_example_is_accepted() -> None:
    assert "SUCCESS" in amtool("check-config", str(EXAMPLE))


@pytest.mark.parametrize(
    ("severity", "component", "receiver"),
    [
        ("critical", "connection-pool", "pager"),
        ("critical", "database", "pager"),
        ("warning", "connection-pool", "team"),
        ("warning", "poolscope", "team"),
        ("info", "connection-pool", "log"),
        ("critical", "somebody-elses", "team"),
    ],
)
def test_alerts_go_to_whom_they_concern(severity: str, component: str, receiver: str) -> None:
    labels = (f"severity={severity}", f"component={component}")
    assert amtool("config", "routes", "test", f"--config.file={EXAMPLE}", *labels) == receiver


def test_an_exhausted_pool_silences_the_lesser_alerts_of_that_pool_alone(tmp_path: Path) -> None:
    expect_alerts(
        [
            of_pool("PoolExhausted", POOL, severity="critical"),
            of_pool("PoolLeak", POOL, severity="critical"),
            *[of_pool(name, OTHER_PROCESS) for name in UNRELATED],
            of_pool("PoolCheckoutSlow", OTHER_POOL),
        ],
        tmp_path,
        silenced=[of_pool(name, POOL) for name in LESSER],
    )


def test_an_established_cause_silences_the_exhaustion_of_that_pool_alone(tmp_path: Path) -> None:
    expect_alerts(
        [
            page("PoolBlocked", POOL, callers="hurt"),
            page("PoolExhausted", OTHER_PROCESS),
            of_pool("PoolBlocked", OTHER_PROCESS),
        ],
        tmp_path,
        silenced=[
            page("PoolExhausted", POOL),
            page("PoolStuck", POOL),
            of_pool("PoolBlocked", POOL),
            page("PoolStuck", OTHER_PROCESS),
        ],
    )


def test_connections_that_fail_silence_their_effects_in_every_process(tmp_path: Path) -> None:
    failing = page("PoolConnectFailing", SERVICE_POOL, poolscope_kind="refused")
    expect_alerts(
        [failing, page("PoolTimeoutBudgetBurn", OTHER_SERVICE, long="1h")],
        tmp_path,
        silenced=[
            page("PoolTimeoutBudgetBurn", SERVICE_POOL, long="1h"),
            # Callers of psycopg_pool wait in the queue while it cannot open a connection.
            of_pool("PoolQueueLong", POOL),
            of_pool("PoolQueueLong", OTHER_PROCESS),
        ],
    )


@pytest.mark.parametrize("alert", ["DatabaseFull", "DatabaseDown"])
def test_a_server_that_is_full_or_down_is_one_page_for_all_pools_that_lead_there(
    alert: str, tmp_path: Path
) -> None:
    there, elsewhere = {**POOL, **SERVER}, {**OTHER_PROCESS, **OTHER_SERVER}
    symptoms = ("PoolExhausted", "PoolServerFull", "PoolConnectSlow")
    expect_alerts(
        [
            named(alert, SERVER, component="database", severity="critical"),
            *[page(each, elsewhere) for each in symptoms],
            *[page(each, OTHER_POOL) for each in symptoms],  # leads to no known server
            page("PoolLeak", there),
            page("PoolConnectFailing", {**OTHER_SERVICE, **OTHER_SERVER}, poolscope_kind="refused"),
        ],
        tmp_path,
        silenced=[
            *[page(each, there) for each in symptoms],
            page("PoolConnectFailing", {**OTHER_SERVICE, **SERVER}, poolscope_kind="refused"),
        ],
    )


def test_a_poll_failure_silences_warnings_of_the_pools_that_lead_there_and_no_page(
    tmp_path: Path,
) -> None:
    there = {**POOL, **SERVER}
    expect_alerts(
        [named("PoolscopePollFailing", SERVER), page("PoolExhausted", there)],
        tmp_path,
        silenced=[of_pool("PoolSessionsEnded", there), of_pool("PoolQueueLong", there)],
    )


def test_evidence_of_a_leak_silences_the_suspicion(tmp_path: Path) -> None:
    expect_alerts(
        [named("PoolLeak", POOL, http_route="/x"), named("PoolLeakSuspected", OTHER_POOL)],
        tmp_path,
        silenced=[named("PoolLeakSuspected", POOL)],
    )


def test_a_shared_connection_silences_its_errors_that_look_like_stale_sockets(
    tmp_path: Path,
) -> None:
    expect_alerts(
        [named("PoolSharedAcrossFork", POOL), named("PoolStaleSockets", OTHER_POOL)],
        tmp_path,
        silenced=[named("PoolStaleSockets", POOL)],
    )


def test_a_poll_failure_silences_what_is_told_of_that_server_and_no_pool(tmp_path: Path) -> None:
    expect_alerts(
        [
            named("PoolscopePollFailing", SERVER),
            named("DatabaseHeadroomLow", OTHER_SERVER),
            named("PoolExhausted", POOL),
        ],
        tmp_path,
        silenced=[named("DatabaseHeadroomLow", SERVER), named("DatabaseFull", SERVER)],
    )


def test_a_fast_burn_silences_a_slow_one_of_the_same_pool(tmp_path: Path) -> None:
    burn = "PoolTimeoutBudgetBurn"
    expect_alerts(
        [
            named(burn, SERVICE_POOL, severity="critical", long="1h"),
            named(burn, {**SERVICE_POOL, "service_name": "other"}, severity="warning"),
        ],
        tmp_path,
        silenced=[named(burn, SERVICE_POOL, severity="warning", long="3d")],
    )

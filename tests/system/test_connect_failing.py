"""Connections that cannot be opened, by four causes: who is told, how soon, and when it is over.

Everything is real and at its shipped pace: four apps at the default push interval, their servers,
one exporter, and a Prometheus with the shipped rules that scrapes every 15 seconds, as the docs
advise. The faults are played side by side. Beside them, a restart of a fifth app's database shows
that a short one pages nobody.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conformance.proxy import Proxy, a_proxy
from poolscope.catalogue import ConnectErrorKind
from poolscope_alerts.__main__ import FOLDER, RULES
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.applications.calling import CallingApp
from support.exporter.exporter_process import ExporterProcess
from support.exporter.timelines import Timelines
from support.postgres.server import make_role, run_sql
from support.processes.child_processes import wait_until
from support.processes.silent_port import SilentPort
from support.prometheus.server import Prometheus, a_prometheus, require_prometheus, scraping

SCRAPE_INTERVAL = "15s"
ALERT = "PoolConnectFailing"
OUTAGE_S = 60
RESTART_S = 8
RESTARTED = "restarted"

DIAGNOSED_WITHIN_S = 10
PAGED_WITHIN_S = 60
RESOLVED_WITHIN_S = 120
HEALTHY_WITHIN_S = 45
"""Thirty seconds after the last failure, which a push has to bring first."""


@dataclass(frozen=True)
class Fault:
    """One way in which connections fail, played on the service of that name."""

    service: str
    kind: ConnectErrorKind
    inflict: Callable[[], None]
    cure: Callable[[], None]


@dataclass
class Stage:
    """All processes; `faults` are in order, the slowest to inflict last."""

    exporter: ExporterProcess
    prometheus: Prometheus
    restarted: EmbeddedPostgres
    apps: dict[str, CallingApp] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def enter(self, stack: ExitStack, service: str, dsn: str, folder: Path) -> CallingApp:
        app = stack.enter_context(CallingApp(service, dsn, self.exporter.otlp, folder))
        self.apps[service] = app
        return app


@dataclass(frozen=True)
class Measured:
    """Seconds from the first failure to diagnosis and alert, from the cure to their end."""

    service: str
    diagnosed_s: float
    paged_s: float
    resolved_s: float
    healthy_s: float

    def __str__(self) -> str:
        return (
            f"{self.service}: connect_failing after {self.diagnosed_s:.1f} s, {ALERT} after"
            f" {self.paged_s:.1f} s; after the cure resolved in {self.resolved_s:.1f} s, healthy in"
            f" {self.healthy_s:.1f} s"
        )


def end_sessions(server: EmbeddedPostgres, role: str) -> None:
    run_sql(
        server.dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
        role,
    )


def database_down(server: EmbeddedPostgres) -> Fault:
    return Fault("database-down", ConnectErrorKind.REFUSED, server.stop, server.start)


def role_without_login(server: EmbeddedPostgres, role: str) -> Fault:
    def inflict() -> None:
        run_sql(server.dsn, f"ALTER ROLE {role} NOLOGIN")
        end_sessions(server, role)

    def cure() -> None:
        run_sql(server.dsn, f"ALTER ROLE {role} LOGIN")

    return Fault("role-without-login", ConnectErrorKind.AUTHENTICATION, inflict, cure)


def name_unknown(server: EmbeddedPostgres, role: str, app: CallingApp) -> Fault:
    def inflict() -> None:
        app.look_up("nowhere.invalid")
        end_sessions(server, role)

    return Fault(
        "name-unknown", ConnectErrorKind.NAME_RESOLUTION, inflict, lambda: app.look_up("127.0.0.1")
    )


def firewall(proxy: Proxy) -> Fault:
    """Return the fault that drops the app's packets; the exporter has a way of its own."""
    dropping = ExitStack()

    def inflict() -> None:
        proxy.refuse()
        dropping.enter_context(SilentPort(proxy.port))
        proxy.cut()

    def cure() -> None:
        dropping.close()
        proxy.accept()

    return Fault("firewall", ConnectErrorKind.TIMEOUT, inflict, cure)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    require_prometheus()
    with ExitStack() as stack:
        ports = [held_port() for _ in range(3)]
        steady, down, restarted = (
            stack.enter_context(EmbeddedPostgres(port=port)) for port in ports
        )
        settings = tmp_path / "exporter.toml"
        tables = (f'[[server]]\ndsn = "{each.dsn}"\n' for each in (steady, down, restarted))
        settings.write_text("".join(tables), encoding="utf-8")
        exporter = stack.enter_context(ExporterProcess(f"--config={settings}"))
        target = {"poolscope": urlsplit(exporter.web).netloc}
        configuration = scraping(target, [FOLDER / RULES], interval=SCRAPE_INTERVAL)
        prometheus = stack.enter_context(a_prometheus(configuration, tmp_path))
        proxy = stack.enter_context(a_proxy(steady.port))
        stage = Stage(exporter, prometheus, restarted)

        make_role(steady, "clerk")
        make_role(steady, "porter")
        stage.enter(stack, "database-down", down.dsn, tmp_path)
        stage.enter(stack, "role-without-login", steady.dsn_for("clerk"), tmp_path)
        named = stage.enter(stack, "name-unknown", steady.dsn_for("porter"), tmp_path)
        behind = steady.dsn.replace(f":{steady.port}/", f":{proxy.port}/")
        stage.enter(stack, "firewall", behind, tmp_path)
        stage.enter(stack, RESTARTED, restarted.dsn, tmp_path)
        stage.faults += [
            role_without_login(steady, "clerk"),
            name_unknown(steady, "porter", named),
            firewall(proxy),
            database_down(down),
        ]
        yield stage


def test_connections_that_fail_are_diagnosed_paged_and_resolved(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    with Timelines(stage.exporter, stage.prometheus) as seen:
        all_are_well(stage, seen)
        for fault in stage.faults:
            fault.inflict()
        restart(stage.restarted)
        failed_s = {fault.service: first_failure_s(stage, fault.service) for fault in stage.faults}
        time.sleep(max(0.0, max(failed_s.values()) + OUTAGE_S - time.monotonic()))
        cured_s = cure(stage.faults)
        wait_until(lambda: is_over(stage, seen), RESOLVED_WITHIN_S)
    assert not seen.errors, seen.errors

    measured = [measure(seen, service, failed_s[service], cured_s[service]) for service in failed_s]
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"{each}\n" for each in measured))

    for each, fault in zip(measured, stage.faults, strict=True):
        assert is_in_time(each), (each, str(seen.diagnoses[each.service]))
        assert names_the_kind(seen, fault), str(seen.alerts[fault.service, ALERT])
        during = failed_s[each.service] + DIAGNOSED_WITHIN_S, cured_s[each.service]
        assert Diagnosis.HEALTHY not in seen.diagnoses[each.service].between(*during)
    assert stage.apps[RESTARTED].first_failure_s() is not None
    assert (RESTARTED, ALERT) not in seen.alerts
    assert stage.prometheus.broken_rules() == []


def all_are_well(stage: Stage, seen: Timelines) -> None:
    """Wait until every app is healthy and was scraped twice, with no alert on any."""
    enough = "count(count_over_time(poolscope_connections_opened_total[1m]) >= 2)"

    def are() -> bool:
        scraped = [value for _, value in stage.prometheus.query(enough)]
        healthy = {name for name, diagnoses in seen.diagnoses.items() if diagnoses.now == "healthy"}
        return scraped == [len(stage.apps)] and healthy == set(stage.apps)

    logs = [app.log for app in stage.apps.values()]
    assert wait_until(are, 90), ({k: str(v) for k, v in seen.diagnoses.items()}, logs)
    assert not seen.alerts, dict(seen.alerts)


def restart(server: EmbeddedPostgres) -> None:
    server.stop()
    time.sleep(RESTART_S)
    server.start()


def first_failure_s(stage: Stage, service: str) -> float:
    app = stage.apps[service]
    assert wait_until(lambda: app.first_failure_s() is not None, 30), app.log
    return app.first_failure_s() or 0.0


def cure(faults: list[Fault]) -> dict[str, float]:
    """Cure them all; return when each was."""
    cured_s = {}
    for fault in faults:
        fault.cure()
        cured_s[fault.service] = time.monotonic()
    return cured_s


def is_over(stage: Stage, seen: Timelines) -> bool:
    services = [fault.service for fault in stage.faults]
    return all(
        seen.alerts[service, ALERT].now == "" and seen.diagnoses[service].now == "healthy"
        for service in services
    )


def measure(seen: Timelines, service: str, failed_s: float, cured_s: float) -> Measured:
    diagnoses, alert = seen.diagnoses[service], seen.alerts[service, ALERT]
    paged = (at_s for at_s, text in alert.changes if text)
    return Measured(
        service,
        diagnosed_s=diagnoses.since(Diagnosis.CONNECT_FAILING, failed_s) - failed_s,
        paged_s=next(paged, float("inf")) - failed_s,
        resolved_s=alert.since("", cured_s) - cured_s,
        healthy_s=diagnoses.since(Diagnosis.HEALTHY, cured_s) - cured_s,
    )


def is_in_time(measured: Measured) -> bool:
    return (
        measured.diagnosed_s <= DIAGNOSED_WITHIN_S
        and measured.paged_s <= PAGED_WITHIN_S
        and measured.resolved_s <= RESOLVED_WITHIN_S
        and measured.healthy_s <= HEALTHY_WITHIN_S
    )


def names_the_kind(seen: Timelines, fault: Fault) -> bool:
    """Return whether every text of the alert names this kind and no other."""
    texts = [text for _, text in seen.alerts[fault.service, ALERT].changes if text]
    ends = f"of the attempts to open a connection fail: {fault.kind}."
    return bool(texts) and all(text.count(" fail: ") == 1 and ends in text for text in texts)

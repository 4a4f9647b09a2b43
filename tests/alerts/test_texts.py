"""The text of an alert has the diagnosis and its numbers, and no empty label."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from poolscope import catalogue as wire
from poolscope.catalogue import Phase
from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.model import NEXT_STEP, Alert, page_query
from poolscope_alerts.prometheus_rules import all_alerts
from poolscope_alerts.promql import PHASE
from poolscope_alerts.texts.details import ADVICE, COUNTED, details
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.web.selection import PARAMETERS
from support.alert_cases.case import labelled
from support.alert_cases.of_pools import (
    MAX,
    OTHER_TRANSPORT,
    PENDING,
    POOL,
    PROCESS,
    USED,
    diagnosis,
    held,
    lost,
    of,
)
from support.prometheus.promtool import (
    Alarm,
    Firing,
    RuleTest,
    needs_promtool,
    run_rule_tests,
)

SOURCES = load_sources()
ALERTS = tuple(all_alerts(SOURCES))
STEP_S = 15
STEPS = 40
LINKS = "service=orders&var-pool=main&var-process=a1"
FULL = f"Pool main of orders (process a1): all 10 connections are checked out{{}} {NEXT_STEP}"


def steadily(gauges: Mapping[str, float]) -> dict[str, str]:
    return {series: f"{value:g}+0x{STEPS}" for series, value in gauges.items()}


def with_text(name: str, series: dict[str, str], text: str, at_s: int, **labels: str) -> RuleTest:
    """Return the test that an alert fires with just this description."""
    alert = next(each for each in ALERTS if each.name == name)
    tuning = SOURCES.tuning
    annotations = {
        "summary": alert.summary,
        "description": text,
        "runbook_url": f"{tuning.runbook_base}/{name}.md",
        "dashboard_url": f"{tuning.dashboard_base}/poolscope-pool?var-{LINKS}",
        "page_url": f"{tuning.page_base}/?service=orders&pool=main&instance=a1",
    }
    static = {"severity": alert.severity.value, "component": alert.component.value}
    firing = Firing({**POOL, **static, **labels}, annotations)
    return RuleTest(text, STEP_S, series, alarms=[Alarm(at_s, name, firing)])


@needs_promtool
def test_advice_follows_the_diagnosis(tmp_path: Path) -> None:
    """A full pool is no page, and has any of the diagnoses."""
    base = FULL.format("; the next request will wait.")
    full = {USED: 10.0, MAX: 10.0}
    tests = [
        with_text(
            "PoolFull",
            steadily({**full, diagnosis(found): 1}),
            f"{base} Diagnosis: {found}. {advice}",
            300,
        )
        for found, advice in ADVICE.items()
    ]
    unknown = steadily({**full, diagnosis(Diagnosis.UNKNOWN): 1})
    run_rule_tests([*tests, with_text("PoolFull", unknown, base, 300)], tmp_path)


@needs_promtool
def test_a_text_has_route_waiters_server_and_host_where_they_are_known(tmp_path: Path) -> None:
    base = FULL.format(" and callers wait or time out.")
    series = {
        USED: 10.0,
        MAX: 10.0,
        PENDING: 4.0,
        diagnosis(Diagnosis.UNDERSIZED): 1.0,
        held("working"): 3.0,
        held("working", http_route=""): 5.0,
        of(wire.PENDING, **{PHASE: Phase.CONNECT}): 0.0,
        of(wire.PENDING, **{PHASE: Phase.QUEUE}): 4.0,
        labelled(own.SERVER_UP.name, {"server": "main"}): 1.0,
        labelled(own.SERVER_HEADROOM.name, {"server": "main"}): 7.0,
        labelled(
            own.POOL_DESTINATION.name, {**POOL, **OTHER_TRANSPORT}, server="main", pgbouncer=""
        ): 1.0,
        labelled(
            own.INSTANCE_INFO.name, {**PROCESS, "host_name": "web-3", "k8s_pod_name": ""}
        ): 1.0,
    }
    text = (
        f"{base} Diagnosis: undersized. {ADVICE[Diagnosis.UNDERSIZED]}"
        " Route /export holds the most connections for long: 3, working."
        " Callers that wait: 4 (queue). Server main has room for 7 more session(s). Host: web-3."
    )
    without = steadily({USED: 10.0, MAX: 10.0, PENDING: 4.0})
    run_rule_tests(
        [
            with_text("PoolExhausted", steadily(series), text, 300, server="main"),
            with_text("PoolExhausted", without, base, 300),
        ],
        tmp_path,
    )


@needs_promtool
def test_a_text_reports_how_long_nothing_happened(tmp_path: Path) -> None:
    """The alert goes on for ten minutes after the last stale socket."""
    series = {lost("socket"): "0+1x20 20+0x40", USED: "1+0x60"}
    said = "Pool main of orders (process a1): about {} in 10m. The statement that met it failed. "
    said += "Recycle connections earlier than the proxy closes them, and turn pre-ping on."
    calm = " The last one was 4m 0s ago: it is calm now."
    run_rule_tests(
        [
            with_text("PoolStaleSockets", series, said.format(20), 300),
            with_text("PoolStaleSockets", series, said.format(20) + calm, 570),
        ],
        tmp_path,
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_page_is_selected_by_parameters_of_its_api(alert: Alert) -> None:
    query = page_query(alert).removeprefix("?")
    assert {each.partition("=")[0] for each in query.split("&") if each} <= set(PARAMETERS)


def test_every_diagnosis_of_a_problem_has_its_next_step() -> None:
    assert set(ADVICE) == set(Diagnosis) - {Diagnosis.HEALTHY, Diagnosis.UNKNOWN}


def test_every_alert_with_a_long_memory_reports_when_it_is_calm() -> None:
    calm = {alert.name for alert in ALERTS if "it is calm now" in details(alert)}
    assert calm == set(COUNTED)

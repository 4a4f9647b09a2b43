"""The alerts are what their sources say, and say nothing that the catalogues do not know."""

import re
from pathlib import Path
from typing import Any

import pytest

from poolscope_alerts.__main__ import (
    FOLDER,
    alerts_by_name,
    documents,
    load_sources,
    main,
    rule_files,
)
from poolscope_alerts.conditions.causes import PAGED
from poolscope_alerts.model import Alert, Component, Record, Sources
from poolscope_alerts.prometheus_rules import all_alerts, groups
from poolscope_alerts.promql import (
    CALL_SITE,
    EVIDENCE,
    KIND,
    POOL,
    PROCESS,
    REASON,
    ROUTE,
    SERVICE_POOL,
    USED_AT,
    duration,
    on,
)
from poolscope_alerts.runbooks import HEADINGS
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Severity, ThresholdId, changed
from support.prometheus.promql_names import functions, problems

SOURCES = load_sources()
ALERTS = tuple(all_alerts(SOURCES))
RUNBOOKS = sorted((FOLDER / "runbooks").glob("*.md"))
KNOWN_TO_2_42 = {
    "absent", "avg_over_time", "clamp_min", "count_over_time", "delta", "deriv", "increase",
    "label_replace", "last_over_time", "max_over_time", "min_over_time", "predict_linear",
    "quantile_over_time", "rate", "vector",
}  # fmt: skip

OF_PROCESS = {"PoolLoopBlocked"}
"""Alerts on what all pools of a process share."""


def ids(alert: Alert) -> str:
    return "-".join((alert.name, *alert.labels.values()))


@pytest.mark.parametrize("name", rule_files(SOURCES))
def test_the_committed_rules_are_what_make_rules_writes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == rule_files(SOURCES)[name]


def test_the_facts_in_runbooks_and_docs_are_what_make_rules_writes() -> None:
    for path, text in documents(SOURCES):
        assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("alert", ALERTS, ids=ids)
def test_an_alert_uses_known_series_labels_and_functions_alone(alert: Alert) -> None:
    assert problems(alert.expression) == []
    assert functions(alert.expression) <= KNOWN_TO_2_42


def test_what_is_recorded_uses_known_series_alone() -> None:
    records = [r for group in groups(SOURCES) for r in group.rules if isinstance(r, Record)]
    assert records
    assert [problem for record in records for problem in problems(record.expression)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "max by (server) (poolscope_server_upp)",
        'poolscope_server_up{sever="x"}',
        "max by (sever) (poolscope_server_up)",
        "poolscope_server_up and on (pool) poolscope_server_cpus",
        "rate(poolscope_checkouts_total)",
        "poolscope_checkouts_total[5m] > 1",
    ],
)
def test_a_wrong_name_label_or_type_would_be_found(wrong: str) -> None:
    assert problems(wrong)


@pytest.mark.parametrize("alert", ALERTS, ids=ids)
def test_words_name_only_labels_that_the_alert_has(alert: Alert) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description))
    assert used <= set(alert.about)


@pytest.mark.parametrize("alert", ALERTS, ids=ids)
def test_a_summary_is_a_sentence_without_numbers(alert: Alert) -> None:
    assert alert.summary.endswith(".")
    assert "{{" not in alert.summary
    assert len(alert.summary) <= 80


def test_no_alert_aggregates_its_pool_away() -> None:
    """Whoever is woken must learn which pool; `job` and `instance` differ by transport."""
    for alert in ALERTS:
        assert not {"job", "instance"} & set(alert.about)
        if alert.name in OF_PROCESS:
            assert set(PROCESS) <= set(alert.about)
        elif alert.name.startswith("Pool") and not alert.name.startswith("Poolscope"):
            assert set(SERVICE_POOL) <= set(alert.about)


def test_a_static_label_holds_no_value() -> None:
    for alert in ALERTS:
        assert "{{" not in "".join(alert.labels.values())


def test_every_documented_threshold_has_an_alert() -> None:
    assert {row for alert in ALERTS for row in alert.thresholds} == set(ThresholdId)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert [path.stem for path in RUNBOOKS] == sorted(alerts_by_name(SOURCES))


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_its_headings_and_queries_that_answer(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## .*$", text, re.MULTILINE) == list(HEADINGS)
    assert text.startswith(f"# {path.stem}\n")
    for query in re.findall(r"```promql\n(.*?)\n```", text, re.DOTALL):
        assert problems(query) == []
    for linked in re.findall(r"\]\((\w+)\.md\)", text):
        assert (path.parent / f"{linked}.md").is_file()


def test_a_threshold_that_is_changed_in_its_file_changes_the_rules() -> None:
    change: dict[str, dict[str, Any]] = {
        "T7": {"value": 0.55},
        "T1": {"value": 1.0, "for_s": 240, "severity": "info"},
    }
    sources = Sources(changed(DEFAULTS, change), SOURCES.tuning)
    found = {alert.name: alert for alert in all_alerts(sources)}
    assert found["DatabaseCpuSaturated"].expression.endswith(">= 0.55")
    slow = found["PoolCheckoutSlow"]
    assert (slow.for_s, slow.severity) == (240, Severity.INFO)
    assert 'le=~"1|1[.]0"' in slow.expression
    assert "longer than 1 s" in slow.description


def test_a_threshold_that_no_histogram_has_a_bound_for_is_refused_with_the_bounds() -> None:
    sources = Sources(changed(DEFAULTS, {"T1": {"value": 0.7}}), SOURCES.tuning)
    with pytest.raises(ValueError, match=r"0\.7 is no bound of .*wait_time; they are .*0\.5, 1, 2"):
        list(all_alerts(sources))


def test_a_faster_pace_shortens_every_duration(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--pace", "30"]) == 0
    text = (tmp_path / "poolscope.rules.yaml").read_text(encoding="utf-8")
    assert 'for: "2s"' in text  # a minute
    assert "[20s]" in text  # ten minutes


def test_inhibition_goes_by_the_full_identity_of_the_pool() -> None:
    text = (FOLDER / "alertmanager.yaml").read_text(encoding="utf-8")
    rules = text.partition("inhibit_rules:")[2].split("\n  - ")[1:]
    assert rules
    for rule in rules:
        equal = re.search(r"equal: \[(.*?)\]", rule, re.DOTALL)
        assert equal
        labels = {label.strip() for label in equal[1].split(",") if label.strip()} - {"alertname"}
        source = rule.partition("target_matchers")[0]
        of_service = "PoolConnectFailing" in source or "PoolTimeoutBudgetBurn" in source
        of_pool = set(SERVICE_POOL) if of_service else set(POOL)
        assert labels == ({"server"} if "atabase" in source or "Poll" in source else of_pool)
    named = set(re.findall(r"\b(?:Pool|Database|PgBouncer)[A-Z]\w+", "".join(rules)))
    assert named <= set(alerts_by_name(SOURCES))


SECONDS = {"s": 1, "m": 60, "h": 3600}


def looks_back_s(alert: Alert) -> float:
    """Return the longest window of an expression."""
    windows = re.findall(r"\[(\d+)([smh])\]", alert.expression)
    return max((int(number) * SECONDS[unit] for number, unit in windows), default=0)


@pytest.mark.parametrize("silencer", ["PoolExhausted", "PoolStuck"])
@pytest.mark.parametrize("silenced", ["PoolFull", "PoolNearExhaustion"])
def test_what_silences_an_alert_goes_on_for_longer(silencer: str, silenced: str) -> None:
    one, other = (alerts_by_name(SOURCES)[name][0] for name in (silencer, silenced))
    assert one.keep_firing_s >= other.keep_firing_s + looks_back_s(other) + 60


@pytest.mark.parametrize("name", ["PoolCheckoutSlow", "PoolQueueLong", "PoolSessionsEnded"])
def test_what_a_window_counts_is_left_out_if_the_pool_was_paged_within_it_or_now(name: str) -> None:
    (alert,) = alerts_by_name(SOURCES)[name]
    lately = f"count_over_time({PAGED}[{duration(looks_back_s(alert))}:30s])"
    assert f"unless {on(POOL)} ({lately} or {PAGED})" in alert.expression


CHANGING = {ROUTE, CALL_SITE, USED_AT, EVIDENCE, KIND, REASON}
"""Labels by which the next look often finds another series of the same trouble."""

STAYS = {"PoolLeak", "PoolSessionsEnded"}
"""What was not returned stays out at its line; what ended is counted in a window by its reason."""


@pytest.mark.parametrize("alert", ALERTS, ids=ids)
def test_a_condition_that_lasts_is_not_judged_by_a_label_that_changes(alert: Alert) -> None:
    """`for` would begin again with the next route."""
    lasts = alert.for_s and alert.name not in STAYS
    assert not (lasts and CHANGING & set(alert.about))


def test_every_alert_on_a_pool_has_its_server() -> None:
    of_pools = [alert for alert in ALERTS if alert.component is Component.POOL]
    assert {alert.name for alert in of_pools if "server" not in alert.about} == OF_PROCESS

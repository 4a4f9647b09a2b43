"""The mixin has every committed rule and dashboard, and its settings reach them."""

import importlib
import json
from functools import cache
from typing import Any

import yaml

from poolscope_alerts.__main__ import load_sources
from support.documents.markdown import ROOT

JSONNET: Any = importlib.import_module("_jsonnet")  # it has no type hints

COMMITTED = ("alerts/poolscope.rules.yaml", "alerts/poolscope-absent.rules.yaml")
ALL = "{ alerts: m.prometheusAlerts, rules: m.prometheusRules, dashboards: m.grafanaDashboards }"


@cache
def mixin(settings: str = "{}") -> dict[str, Any]:
    """Return everything that the mixin gives, with these settings."""
    program = (
        "local m = (import 'mixin.libsonnet') + { _config+:: { poolscope+: "
        f"{settings} }} }}; {ALL}"
    )
    found: dict[str, Any] = json.loads(
        JSONNET.evaluate_snippet("test", program, jpathdir=[str(ROOT)])
    )
    return found


def groups_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [*found["rules"]["groups"], *found["alerts"]["groups"]]


def alerts_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in groups_of(found) for rule in group["rules"] if "alert" in rule]


def test_mixin_has_every_committed_rule_once_and_unchanged() -> None:
    committed = [
        group
        for path in COMMITTED
        for group in yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["groups"]
    ]

    found = groups_of(mixin())

    assert {group["name"]: group for group in found} == {each["name"]: each for each in committed}
    assert len(found) == len(committed)


def test_mixin_has_every_committed_dashboard_unchanged() -> None:
    committed = {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in (ROOT / "dashboards").glob("*.json")
    }

    assert mixin()["dashboards"] == committed


def test_its_addresses_replace_those_of_the_rules() -> None:
    found = mixin(
        "{ runbookBase: 'https://runbooks.example/', dashboardBase: 'https://grafana.example/d/',"
        " pageBase: 'https://poolscope.example/' }"
    )

    for rule in alerts_of(found):
        links = rule["annotations"]
        assert links["runbook_url"] == f"https://runbooks.example/{rule['alert']}.md"
        assert links["dashboard_url"].startswith("https://grafana.example/d/poolscope-")
        assert links["page_url"].startswith("https://poolscope.example/")


def test_its_default_addresses_are_those_of_the_rules() -> None:
    tuning = load_sources().tuning

    for rule in alerts_of(mixin()):
        assert rule["annotations"]["runbook_url"].startswith(tuning.runbook_base)
        assert rule["annotations"]["dashboard_url"].startswith(tuning.dashboard_base)


def test_alert_can_be_left_out_by_its_name() -> None:
    everything = {rule["alert"] for rule in alerts_of(mixin())}

    found = {rule["alert"] for rule in alerts_of(mixin("{ disabledAlerts: ['PoolLeak'] }"))}

    assert everything - found == {"PoolLeak"}

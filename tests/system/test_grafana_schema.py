"""Dashboards and alert queries have the types that Grafana 10.4 and 13 publish for them."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from poolscope_alerts.__main__ import FOLDER, FOR_GRAFANA
from support.documents.grafana_types import Part, parts_of, query_part, source
from support.documents.yaml_files import read_yaml

PROJECT = Path(__file__).parent / "grafana_schema"
DASHBOARDS = sorted((FOLDER.parent / "dashboards").glob("*.json"))
SCHEMAS = {"13.2": "@grafana/schema", "10.4": "grafana-schema-10"}
"""The newest types and the oldest, by where they are installed."""

pytestmark = pytest.mark.skipif(
    shutil.which("npm") is None and "CI" not in os.environ,
    reason="npm is not installed (Debian's packages nodejs and npm); CI has it",
)
Change = Callable[[Any], None]


def ran(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="session")
def installed(pytestconfig: pytest.Config) -> Path:
    """Return a folder with the locked packages; they are installed where they are not yet."""
    assert pytestconfig.cache
    lock = (PROJECT / "package-lock.json").read_bytes()
    folder = pytestconfig.cache.mkdir(f"grafana_schema_{hashlib.sha256(lock).hexdigest()[:12]}")
    for name in ("package.json", "package-lock.json", ".npmrc", "written.ts"):
        shutil.copy(PROJECT / name, folder)
    if not (folder / "complete").exists():
        done = ran(["npm", "ci", "--no-progress"], folder)
        assert done.returncode == 0, done.stderr
        (folder / "complete").touch()
    return folder


def settings(schema: str) -> dict[str, Any]:
    package = f"../node_modules/{SCHEMAS[schema]}"
    paths = {
        "@grafana/schema": [f"{package}/dist/index.d.ts"],
        "@grafana/schema/dist/esm/*": [f"{package}/dist/esm/*"],
    }
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "types": [],
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
    }
    if SCHEMAS[schema] != "@grafana/schema":
        options["paths"] = paths
    return {"compilerOptions": options, "files": ["check.ts"]}


def objections(parts: list[Part], schema: str, installed: Path) -> list[str]:
    """Return what the compiler says, each with the part that it says it of."""
    text, places = source(parts)
    with TemporaryDirectory(dir=installed) as name:
        folder = Path(name)
        (folder / "check.ts").write_text(text, encoding="utf-8")
        shutil.copy(installed / "written.ts", folder)
        (folder / "tsconfig.json").write_text(json.dumps(settings(schema)), encoding="utf-8")
        done = ran(["node", "../node_modules/typescript/bin/tsc", "--pretty", "false"], folder)
    lines = done.stdout.splitlines()
    assert (done.returncode == 0) == (not lines), done.stdout + done.stderr
    return [_with_place(line, places) for line in lines if not line.startswith(" ")]


def _with_place(line: str, places: Any) -> str:
    found = re.match(r"check\.ts\((\d+),\d+\): (.*)", line)
    return f"{places[int(found[1])]}: {found[2]}" if found and int(found[1]) in places else line


def a_panel(kind: str, options: Any, custom: Any) -> Any:
    return {
        "id": 1,
        "type": kind,
        "title": "Waits",
        "description": "How long.",
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0},
        "targets": [{"refId": "A", "expr": "up", "range": True, "legendFormat": "{{pool}}"}],
        "options": options,
        "fieldConfig": {
            "defaults": {
                "unit": "s",
                "color": {"mode": "thresholds"},
                "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}]},
                "custom": custom,
            },
            "overrides": [
                {
                    "matcher": {"id": "byName", "options": "max"},
                    "properties": [{"id": "unit", "value": "none"}],
                }
            ],
        },
    }


def a_dashboard() -> Any:
    """Return a dashboard with a panel of each kind that is not wholly its options."""
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["max"]}
    panels = [
        a_panel("timeseries", {"legend": legend}, {"lineWidth": 1, "drawStyle": "line"}),
        a_panel("stat", {"colorMode": "background", "reduceOptions": {"calcs": ["last"]}}, {}),
        a_panel("state-timeline", {"showValue": "auto", "rowHeight": 0.9}, {"fillOpacity": 70}),
        a_panel("table", {"showHeader": True}, {"align": "auto"}),
        a_panel("bargauge", {"orientation": "horizontal", "displayMode": "basic"}, {}),
    ]
    row = {"type": "row", "id": 9, "title": "More", "collapsed": True, "panels": panels[1:]}
    variable = {"type": "query", "name": "job", "multi": True, "refresh": 2, "allValue": ".+"}
    return {
        "title": "Orders",
        "uid": "orders",
        "schemaVersion": 39,
        "editable": False,
        "tags": ["poolscope"],
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [variable]},
        "annotations": {
            "list": [{"name": "Alerts", "enable": True, "target": {"refId": "A", "expr": "ALERTS"}}]
        },
        "panels": [panels[0], row],
    }


def first(dashboard: Any) -> Any:
    return dashboard["panels"][0]


def field(dashboard: Any) -> Any:
    return first(dashboard)["fieldConfig"]["defaults"]


def overrides(path: str, value: Any) -> Change:
    def change(dashboard: Any) -> None:
        override = first(dashboard)["fieldConfig"]["overrides"][0]
        override["properties"] = [{"id": path, "value": value}]

    return change


BROKEN: dict[str, tuple[Change, str]] = {
    "frame": (lambda one: one.update(editabel=False), "editabel"),
    "variable": (lambda one: one["templating"]["list"][0].update(multy=True), "multy"),
    "annotation": (lambda one: one["annotations"]["list"][0]["target"].update(exp="x"), "exp"),
    "panel": (lambda one: first(one).update(descriptoin="x"), "descriptoin"),
    "grid": (lambda one: first(one)["gridPos"].update(width=9), "width"),
    "option": (lambda one: first(one)["options"]["legend"].update(displaymode="x"), "displaymode"),
    "value of an option": (
        lambda one: first(one)["options"]["legend"].update(placement="below"),
        '"below"',
    ),
    "target": (lambda one: first(one)["targets"][0].update(legendformat="x"), "legendformat"),
    "field": (lambda one: field(one).update(units="s"), "units"),
    "threshold": (lambda one: field(one)["thresholds"].update(mode="relative"), '"relative"'),
    "own field": (lambda one: field(one)["custom"].update(linewidth=2), "linewidth"),
    "override": (overrides("custom.linewidth", 2), "linewidth"),
    "value of an override": (overrides("custom.drawStyle", "dotted"), '"dotted"'),
    "in a row": (
        lambda one: one["panels"][1]["panels"][0]["options"].update(colourMode="x"),
        "colourMode",
    ),
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_sound_dashboard_is_accepted(schema: str, installed: Path) -> None:
    assert objections(list(parts_of("orders", a_dashboard())), schema, installed) == []


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_slip_is_told_of_with_its_place(schema: str, installed: Path) -> None:
    """All slips are compiled at once: a compiler for each would take a minute."""
    parts = []
    for name, (change, _) in BROKEN.items():
        dashboard = a_dashboard()
        change(dashboard)
        parts += list(parts_of(name, dashboard))
    found = objections(parts, schema, installed)
    told = {name: [line for line in found if line.startswith(f"{name}:")] for name in BROKEN}
    assert {name: len(lines) for name, lines in told.items()} == dict.fromkeys(BROKEN, 1)
    for name, (_, word) in BROKEN.items():
        assert word in told[name][0]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_our_dashboards_have_the_types_that_grafana_publishes(schema: str, installed: Path) -> None:
    parts = [
        part
        for path in DASHBOARDS
        for part in parts_of(path.stem, json.loads(path.read_text(encoding="utf-8")))
    ]
    assert objections(parts, schema, installed) == []


def test_what_alerts_ask_is_a_query_of_prometheus_to_grafana(installed: Path) -> None:
    groups = read_yaml(FOLDER / FOR_GRAFANA)["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    parts = [query_part(rule["uid"], rule["data"][0]["model"]) for rule in rules]
    assert parts
    assert objections(parts, "10.4", installed) == []
    wrong = query_part("wrong", parts[0].json | {"instnat": True})  # type: ignore[operator]
    assert len(objections([wrong], "10.4", installed)) == 1


def test_the_lock_names_no_registry() -> None:
    text = (PROJECT / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in text
    assert "://" not in text

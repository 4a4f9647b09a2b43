"""What each panel must have: rules 6 to 9."""

from collections.abc import Iterator

from support.dashboard_linter.dashboard import (
    Dashboard,
    Finding,
    Json,
    data_source_uid,
    panels,
    referring_to,
    variables,
)

UNITS = {
    "none", "short", "string", "percent", "percentunit", "bool", "bool_yes_no", "bool_on_off",
    "ns", "µs", "ms", "s", "m", "h", "d", "dtdurations", "dtdurationms", "dateTimeAsIso",
    "dateTimeFromNow", "bytes", "decbytes", "Bps", "binBps", "cps", "cpm", "ops", "opm", "reqps",
    "rps", "wps", "iops", "rpm", "wpm",
}  # fmt: skip
"""Those of Grafana's units that our numbers can have: more of them would hide a slip."""

WITHOUT_NUMBERS = {"text", "row", "dashlist", "alertlist", "news"}


def data_source_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that a panel asks the data source that was chosen."""
    names = [each["name"] for each in variables(dashboard, "datasource")]
    allowed = set().union(*map(referring_to, names))
    for panel in _numeric(dashboard):
        if (uid := data_source_uid(panel)) not in allowed:
            yield _found("panel-datasource-rule", dashboard, panel, f"asks {uid or 'no source'}")


def title_description_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that a panel says what it shows."""
    for panel in _numeric(dashboard):
        for key in ("title", "description"):
            if not panel.get(key):
                what = f"panel {panel.get('id')} has no {key}"
                yield _found("panel-title-description-rule", dashboard, panel, what)


def units_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that a number has a unit, unless it stands for a word."""
    for panel in _numeric(dashboard):
        if _has_mappings(panel) or _shows_text(panel):
            continue
        units = _units(panel)
        if not units:
            yield _found("panel-units-rule", dashboard, panel, "has no unit")
        for unit in units - UNITS:
            yield _found("panel-units-rule", dashboard, panel, f"has the unit {unit}")


def targets_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that a panel asks something."""
    for panel in _numeric(dashboard):
        if not panel.get("targets"):
            yield _found("panel-no-targets-rule", dashboard, panel, "asks nothing")


def _numeric(dashboard: Dashboard) -> Iterator[Json]:
    return (panel for panel in panels(dashboard) if panel["type"] not in WITHOUT_NUMBERS)


def _found(rule: str, dashboard: Dashboard, panel: Json, what: str) -> Finding:
    return Finding(rule, dashboard["title"], what, panel.get("title", ""))


def _overridden(panel: Json, key: str) -> list[object]:
    overrides = panel.get("fieldConfig", {}).get("overrides", [])
    properties = [each for override in overrides for each in override.get("properties", [])]
    return [each["value"] for each in properties if each["id"] == key and each.get("value")]


def _default(panel: Json, key: str) -> object:
    return panel.get("fieldConfig", {}).get("defaults", {}).get(key)


def _has_mappings(panel: Json) -> bool:
    return bool(_overridden(panel, "mappings") or _default(panel, "mappings"))


def _shows_text(panel: Json) -> bool:
    """Tell whether a stat was told which fields to show: numbers are what it shows untold."""
    reduced = panel.get("options", {}).get("reduceOptions", {})
    return panel["type"] == "stat" and bool(reduced.get("fields"))


def _units(panel: Json) -> set[str]:
    return {str(each) for each in (*_overridden(panel, "unit"), _default(panel, "unit")) if each}


PANEL_RULES = {
    "panel-datasource-rule": data_source_rule,
    "panel-title-description-rule": title_description_rule,
    "panel-units-rule": units_rule,
    "panel-no-targets-rule": targets_rule,
}

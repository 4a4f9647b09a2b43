"""What a dashboard's variables must be: rules 1 to 5, and that nobody edits it in place."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from support.dashboard_linter.dashboard import (
    Dashboard,
    Finding,
    Json,
    data_source_uid,
    referring_to,
    variables,
)
from support.dashboard_linter.promql import parsed

SOURCE_NAMES = {"datasource": "Data source", "prometheus_datasource": "Prometheus data source"}
"""What the variable of the data source may be called, and how it is labelled then."""

_QUERY = re.compile(r"(label_names|label_values|metrics|query_result)\((.*)\)")
_ON_TIME_RANGE_CHANGE = 2


def data_source_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that a data source can be chosen."""
    found = partial(Finding, "template-datasource-rule", dashboard["title"])
    sources = variables(dashboard, "datasource")
    if not sources:
        yield found("has no variable for the data source")
    for each in sources:
        if each["name"] not in SOURCE_NAMES:
            yield found(f"calls its data source {each['name']}")
        if each.get("label") not in SOURCE_NAMES.values():
            yield found(f"labels its data source {each.get('label')}")


def _labels_own(rule: str, name: str, dashboard: Dashboard) -> Iterator[Finding]:
    found = partial(Finding, rule, dashboard["title"])
    variable = next((each for each in variables(dashboard) if each["name"] == name), None)
    if variable is None:
        yield found(f"has no variable {name}")
        return
    for key, wanted in _wanted_of(name).items():
        if variable.get(key) != wanted:
            yield found(f"{name}: {key} is {variable.get(key)}, not {wanted}")
    allowed = set().union(*map(referring_to, SOURCE_NAMES))
    if data_source_uid(variable) not in allowed:
        yield found(f"{name}: does not ask the data source that was chosen")


def _wanted_of(name: str) -> dict[str, Any]:
    return {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}


def query_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that what a variable asks is a function of Grafana's over PromQL."""
    found = partial(Finding, "template-label-promql-rule", dashboard["title"])
    for each in variables(dashboard, "query"):
        query = _query(each)
        asked = _QUERY.fullmatch(query.strip())
        if asked is None:
            yield found(f"{each['name']}: {query!r} is no query of a variable")
        elif problem := _problem(asked[1], asked[2], dashboard):
            yield found(f"{each['name']}: {problem}")


def _query(variable: Json) -> str:
    query = variable.get("query", "")
    return str(query.get("query", "")) if isinstance(query, dict) else str(query)


def _problem(function: str, argument: str, dashboard: Dashboard) -> str | None:
    if function == "label_values":
        argument, comma, _ = argument.rpartition(",")
        if not comma:
            return None
    if function not in {"label_values", "query_result"}:
        return None
    try:
        parsed(argument, dashboard)
    except ValueError as exc:
        return str(exc)
    return None


def reload_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that a variable is asked again when the time range changes."""
    for each in variables(dashboard, "query"):
        if each.get("refresh") != _ON_TIME_RANGE_CHANGE:
            what = f"{each['name']}: refresh is {each.get('refresh')}, not 2"
            yield Finding("template-on-time-change-reload-rule", dashboard["title"], what)


def uneditable_rule(dashboard: Dashboard) -> Iterator[Finding]:
    """Hold that nobody edits in place what comes from a file."""
    if dashboard.get("editable") is not False:
        yield Finding("uneditable-dashboard", dashboard["title"], "is editable")


VARIABLE_RULES: dict[str, Callable[[Dashboard], Iterator[Finding]]] = {
    "template-datasource-rule": data_source_rule,
    "template-job-rule": partial(_labels_own, "template-job-rule", "job"),
    "template-instance-rule": partial(_labels_own, "template-instance-rule", "instance"),
    "template-label-promql-rule": query_rule,
    "template-on-time-change-reload-rule": reload_rule,
    "uneditable-dashboard": uneditable_rule,
}

"""The dashboards ask for what exists, in a way that is right on both transports."""

import re
from collections import Counter
from datetime import timedelta
from typing import Final

import pytest
from promql_parser import AggregateExpr, Call, MatrixSelector, VectorSelector

from poolscope_dashboards.__main__ import FOLDER
from poolscope_dashboards.kit.board import TITLES
from support.documents.dashboards import (
    DASHBOARDS,
    OF_EXPORTERS,
    Json,
    calls,
    filled,
    nodes,
    ranged,
    selectors,
    shown,
    targets,
    without_scraping,
)
from support.prometheus.promql_names import functions, known_series, problems

KNOWN_TO_2_42: Final = {
    "avg_over_time", "clamp_max", "clamp_min", "histogram_quantile", "increase",
    "label_join", "label_replace", "last_over_time", "max_over_time", "min_over_time", "rate",
    "time",
}  # fmt: skip
GROWTH: Final = {"rate", "increase"}
STEP: Final = timedelta(seconds=61)
RANGE: Final = timedelta(seconds=3601)
BEGIN_AT_ONE: Final = {
    "Leaks by route and line": {"poolscope_leaks_total", "poolscope_leaks_recovered_total"},
    "ORM attributes that failed to load": {"poolscope_session_errors_total"},
    "First requests that open a connection": {
        "poolscope_request_checkouts_total",
        "poolscope_request_connect_waits_total",
    },
}
"""Counters by panel that may be read as they are: growth would miss their first events."""

every_dashboard = pytest.mark.parametrize(
    "dashboard", DASHBOARDS.values(), ids=lambda dashboard: str(dashboard["uid"])
)


def is_counter(selector: VectorSelector) -> bool:
    name = str(selector.name)
    is_gauge = name == "db_client_connection_count"
    return name.endswith(("_total", "_bucket", "_sum", "_count")) and not is_gauge


@every_dashboard
def test_queries_use_known_series_labels_and_functions_alone(dashboard: Json) -> None:
    for target in targets(dashboard):
        assert problems(filled(without_scraping(target.expression))) == [], target.title
        assert functions(filled(target.expression)) <= KNOWN_TO_2_42


@pytest.mark.parametrize(
    "wrong",
    [
        'max by (server) (poolscope_server_upp{job=~"$job", instance=~"$instance"})',
        'poolscope_server_up{job=~"$job", instance=~"$instance", sever="$server"}',
        "rate(poolscope_checkouts_total)",
    ],
)
def test_a_wrong_query_would_be_found(wrong: str) -> None:
    assert problems(filled(without_scraping(wrong)))


@every_dashboard
def test_what_the_exporter_says_is_asked_of_the_chosen_exporters_and_nothing_else_is(
    dashboard: Json,
) -> None:
    """Over OTLP, `job` and `instance` of an application's series are the application's."""
    for target in targets(dashboard):
        for selector in selectors(target.expression):
            named = {matcher.name for matcher in selector.matchers.matchers}
            wanted = {"job", "instance"} if selector.name in OF_EXPORTERS else set()
            assert named & {"job", "instance"} == wanted, target.title


@every_dashboard
def test_a_counter_is_read_by_its_growth(dashboard: Json) -> None:
    """But for those whose series begin at 1 or later, so that growth would miss the first."""
    for target in targets(dashboard):
        grown = Counter(
            str(ranged(call).vector_selector.name)
            for call in calls(target.expression)
            if call.func.name in GROWTH
        )
        read = Counter(str(each.name) for each in selectors(target.expression) if is_counter(each))
        raw = set(read - grown)
        assert raw <= BEGIN_AT_ONE.get(target.panel["title"], set()), target.title
        assert set(grown) <= set(read), f"{target.title}: growth of a gauge"


@every_dashboard
def test_growth_is_over_the_step_or_over_the_whole_range(dashboard: Json) -> None:
    allowed = {("rate", STEP), ("increase", STEP), ("increase", RANGE)}
    for target in targets(dashboard):
        growth = [call for call in calls(target.expression) if call.func.name in GROWTH]
        assert {(call.func.name, ranged(call).range) for call in growth} <= allowed


@every_dashboard
def test_single_numbers_and_tables_are_of_now(dashboard: Json) -> None:
    """The last number of a range may be of a process that is gone."""
    for target in targets(dashboard):
        assert target.is_now is (target.panel["type"] in {"stat", "table"}), target.title


@every_dashboard
def test_what_two_exporters_hear_is_counted_once(dashboard: Json) -> None:
    """Each of them exposes all series of a process: they are merged before they are summed."""
    for target in targets(dashboard):
        for node in nodes(target.expression):
            if isinstance(node, AggregateExpr) and str(node.op) in {"sum", "count"}:
                assert not is_of_processes(node.expr), target.title


def is_of_processes(node: object) -> bool:
    """Tell whether a part of a query is a bare series of processes, or its growth."""
    if isinstance(node, Call) and isinstance(node.args[0], MatrixSelector):
        return is_of_processes(node.args[0].vector_selector)
    if not isinstance(node, VectorSelector):
        return False
    return "service_instance_id" in known_series()[str(node.name)]


def test_the_linter_is_told_of_all_queries_on_series_of_applications_and_of_no_others() -> None:
    text = (FOLDER / ".lint").read_text(encoding="utf-8")
    told = re.findall(r'- dashboard: "(.+)"\n +panel: "(.+)"\n +targetIdx: "(\d+)"', text)
    expected = [
        (DASHBOARDS[uid]["title"], target.panel["title"], str(target.index))
        for uid in TITLES
        for target in targets(DASHBOARDS[uid])
        if {str(selector.name) for selector in selectors(target.expression)} - OF_EXPORTERS
    ]
    assert told == expected * 2
    rules = re.findall(r"^  (\S+):$", text, re.MULTILINE)
    assert rules == ["target-instance-rule", "target-job-rule"]
    assert text.count("reason:") == len(rules)


def test_all_six_dashboards_are_looked_at() -> None:
    assert [len(shown(dashboard)) > 10 for dashboard in DASHBOARDS.values()] == [True] * 6

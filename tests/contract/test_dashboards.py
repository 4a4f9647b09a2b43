"""The dashboards are what their sources say, and ask for nothing that no catalogue knows."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import promql_parser
import pytest
from promql_parser import Call, MatrixSelector, VectorSelector

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.alert import Component, Sources, dashboard_path
from poolscope_alerts.rulebook import all_alerts
from poolscope_dashboards.__main__ import FOLDER, boards, files, main
from poolscope_dashboards.board import TITLES
from poolscope_dashboards.palette import DIAGNOSES, GREEN, GREY, VERDICTS, rank
from poolscope_exporter.core.catalogue import OWN_METRICS
from poolscope_exporter.core.diagnosis import Diagnosis
from poolscope_exporter.core.documented import DEFAULTS, ThresholdId, changed
from poolscope_exporter.core.verdicts import Verdict
from support.promql_names import functions, known_series, problems

Json = dict[str, Any]

SOURCES: Final = load_sources()
NAMES: Final = tuple(sorted(files(SOURCES)))
DASHBOARDS: Final[dict[str, Json]] = {
    name.removesuffix(".json"): json.loads(text)
    for name, text in files(SOURCES).items()
    if name.endswith(".json")
}
OWN: Final = {metric.name for metric in OWN_METRICS}
KINDS: Final = {"stat", "timeseries", "table", "state-timeline", "text"}
UNITS: Final = {"none", "percentunit", "s", "cps", "bytes"}
KNOWN_TO_2_42: Final = {
    "avg_over_time", "clamp_min", "histogram_quantile", "increase", "label_join",
    "min_over_time", "rate", "time",
}  # fmt: skip
STEP: Final = timedelta(seconds=61)
RANGE: Final = timedelta(seconds=3601)
OF_EXPORTER: Final = ('job=~"$job"', 'instance=~"$instance"')
EVERYWHERE: Final = {"datasource", "job", "instance"}


def flat(panels: list[Json]) -> Iterator[Json]:
    """Yield all panels, also those in closed rows."""
    for panel in panels:
        yield panel
        yield from flat(panel.get("panels", []))


def shown(dashboard: Json) -> list[Json]:
    """Return the panels that show something: all but the rows."""
    return [panel for panel in flat(dashboard["panels"]) if panel["type"] != "row"]


PANELS: Final = [
    pytest.param(uid, panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in DASHBOARDS.items()
    for panel in shown(dashboard)
]
QUERIES: Final = [
    pytest.param(uid, panel, target, id=f"{uid}: {panel['title']} {target['refId']}")
    for uid, dashboard in DASHBOARDS.items()
    for panel in shown(dashboard)
    for target in panel.get("targets", [])
]
BOARDS: Final = [pytest.param(dashboard, id=uid) for uid, dashboard in DASHBOARDS.items()]


def filled(expression: str) -> str:
    """Return the expression with something for each of Grafana's variables."""
    times = expression.replace("$__rate_interval", "61s").replace("$__range", "3601s")
    return re.sub(r"\$(\w+)", "x", times)


def without_exporter(expression: str) -> str:
    """Return the expression without the matchers on labels that Prometheus itself adds."""
    for matcher in OF_EXPORTER:
        expression = expression.replace(f"{matcher}, ", "").replace(matcher, "")
    return expression


def nodes(expression: str) -> list[object]:
    found: list[object] = []
    promql_parser.walk(promql_parser.parse(filled(expression)), found.append)
    return found


def calls(expression: str) -> list[Call]:
    return [node for node in nodes(expression) if isinstance(node, Call)]


def ranged(call: Call) -> MatrixSelector:
    argument = call.args[0]
    assert isinstance(argument, MatrixSelector)
    return argument


def is_counter(selector: VectorSelector) -> bool:
    return str(selector.name).endswith(("_total", "_bucket", "_sum", "_count")) and (
        str(selector.name) != "db_client_connection_count"
    )


def selectors(expression: str) -> list[VectorSelector]:
    return [node for node in nodes(expression) if isinstance(node, VectorSelector)]


def matchers(selector: VectorSelector) -> set[str]:
    return {matcher.name for matcher in selector.matchers.matchers}


def links(panel: Json) -> list[str]:
    """Return the addresses that the cells of a table open."""
    return [
        link["url"]
        for override in panel["fieldConfig"]["overrides"]
        for found in override["properties"]
        if found["id"] == "links"
        for link in found["value"]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_file_is_what_make_rules_writes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == files(SOURCES)[name]


def test_all_committed_dashboards_are_generated() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == {f"{uid}.json" for uid in TITLES}


def test_the_same_sources_always_make_the_same_files(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == (
        files(SOURCES)
    )


@pytest.mark.parametrize("dashboard", BOARDS)
def test_a_dashboard_is_classic_and_imports_everywhere(dashboard: Json) -> None:
    assert dashboard["schemaVersion"] == 39
    assert dashboard["editable"] is False
    assert len(dashboard["uid"]) <= 40
    assert dashboard["title"] == TITLES[dashboard["uid"]]
    assert dashboard["description"]
    assert {panel["type"] for panel in shown(dashboard)} <= KINDS
    controls = (dashboard["links"], dashboard["annotations"], dashboard["templating"])
    assert "placement" not in json.dumps(controls)  # Grafana 12.3 hides them by it


@pytest.mark.parametrize("dashboard", BOARDS)
def test_panels_have_ids_and_titles_of_their_own(dashboard: Json) -> None:
    ids = [panel["id"] for panel in flat(dashboard["panels"])]
    titles = [panel["title"] for panel in flat(dashboard["panels"])]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)  # the linter's exclusions go by title


@pytest.mark.parametrize("dashboard", BOARDS)
def test_panels_are_inside_the_grid_and_do_not_overlap(dashboard: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in flat(dashboard["panels"]):
        grid = panel["gridPos"]
        assert grid["x"] >= 0
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("dashboard", BOARDS)
def test_the_first_screen_is_open_and_small(dashboard: Json) -> None:
    """1080 pixels hold about 28 of Grafana's rows, less its bars."""
    first = [panel for panel in dashboard["panels"] if panel["gridPos"]["y"] < 4]
    assert all(panel["type"] == "stat" for panel in first)


@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_when_it_knows_nothing(
    uid: str, panel: Json
) -> None:
    assert panel["title"]
    assert panel["description"].endswith((".", "?", "5 %."))
    if panel["type"] == "text":
        return
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    assert defaults["noValue"]
    assert defaults["color"]["mode"]
    assert panel["targets"]
    assert [target["refId"] for target in panel["targets"]] == [
        chr(ord("A") + index) for index in range(len(panel["targets"]))
    ]


@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_a_panel_uses_the_chosen_data_source(uid: str, panel: Json) -> None:
    used = [panel, *panel.get("targets", [])] if panel["type"] != "text" else []
    assert all(each["datasource"]["uid"] == "${datasource}" for each in used)


@pytest.mark.parametrize(("uid", "panel", "target"), QUERIES)
def test_a_query_uses_known_series_labels_and_functions_alone(
    uid: str, panel: Json, target: Json
) -> None:
    expression = filled(without_exporter(target["expr"]).replace("job, instance, ", ""))
    assert problems(expression) == []
    assert functions(filled(target["expr"])) <= KNOWN_TO_2_42


@pytest.mark.parametrize(("uid", "panel", "target"), QUERIES)
def test_a_query_of_the_exporters_series_names_the_exporter_and_no_other_does(
    uid: str, panel: Json, target: Json
) -> None:
    """Over OTLP, `job` and `instance` of an application's series are the application's."""
    for selector in selectors(target["expr"]):
        has = {"job", "instance"} & matchers(selector)
        assert has == ({"job", "instance"} if selector.name in OWN else set())


@pytest.mark.parametrize(("uid", "panel", "target"), QUERIES)
def test_a_counter_is_read_by_its_growth(uid: str, panel: Json, target: Json) -> None:
    """But for leaks: their series begin at 1, so growth would miss the first."""
    growth = [call for call in calls(target["expr"]) if call.func.name in {"rate", "increase"}]
    grown = Counter(ranged(call).vector_selector.name for call in growth)
    read = Counter(each.name for each in selectors(target["expr"]) if is_counter(each))
    raw = {str(name) for name in read - grown}
    leaks = {"poolscope_leaks_total", "poolscope_leaks_recovered_total"}
    assert raw <= (leaks if panel["title"] == "Which route and line leaks?" else set())
    assert all(is_counter(ranged(call).vector_selector) for call in growth)


@pytest.mark.parametrize(("uid", "panel", "target"), QUERIES)
def test_a_rate_is_over_the_interval_that_grafana_chooses(
    uid: str, panel: Json, target: Json
) -> None:
    spans = {
        (call.func.name, ranged(call).range)
        for call in calls(target["expr"])
        if call.func.name in {"rate", "increase"}
    }
    assert spans <= {("rate", STEP), ("increase", STEP), ("increase", RANGE)}


@pytest.mark.parametrize(("uid", "panel", "target"), QUERIES)
def test_a_single_number_and_a_table_are_of_now(uid: str, panel: Json, target: Json) -> None:
    """The last number of a range may be of a process that is gone."""
    is_now = panel["type"] in {"stat", "table"}
    assert (target["instant"], target["range"]) == (is_now, not is_now)


@pytest.mark.parametrize("dashboard", BOARDS)
def test_every_variable_that_is_used_is_defined_and_the_other_way_round(dashboard: Json) -> None:
    defined = [variable["name"] for variable in dashboard["templating"]["list"]]
    rest = {key: dashboard[key] for key in ("panels", "annotations", "templating")}
    text = json.dumps(rest)
    used = set(re.findall(r"(?<!\\)\$\{?([a-z]\w*)", text))
    assert used == set(defined)
    assert defined[:3] == ["datasource", "job", "instance"]


@pytest.mark.parametrize("dashboard", BOARDS)
def test_the_choices_of_a_variable_come_from_known_series(dashboard: Json) -> None:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        assert variable["refresh"] == 2
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert found
        series = filled(re.sub(r'(?:job|instance)=~"\$\w+"(?:, )?', "", found[1]))
        assert problems(series) == []
        name = str(selectors(series)[0].name)
        assert found[2] in known_series()[name] | {"job", "instance"}


@pytest.mark.parametrize("dashboard", BOARDS)
def test_job_and_instance_are_chosen_as_the_linter_wants(dashboard: Json) -> None:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert variables["datasource"]["label"] == "Data source"
    for name in ("job", "instance"):
        assert variables[name]["label"] == name.capitalize()
        assert variables[name]["multi"]
        assert variables[name]["allValue"] == ".+"


def test_every_dashboard_leads_to_the_others() -> None:
    for uid, dashboard in DASHBOARDS.items():
        assert {link["url"] for link in dashboard["links"]} == {
            f"/d/{other}" for other in TITLES if other != uid
        }
        assert all(link["keepTime"] and link["includeVars"] for link in dashboard["links"])


def test_a_row_of_a_table_leads_to_a_dashboard_with_variables_that_it_has() -> None:
    found = [
        (uid, panel, url)
        for uid, dashboard in DASHBOARDS.items()
        for panel in shown(dashboard)
        if panel["type"] == "table"
        for url in links(panel)
    ]
    assert {urlsplit(url).path for _, _, url in found} == {
        "/d/poolscope-pool",
        "/d/poolscope-server",
    }
    for _, panel, url in found:
        goal = DASHBOARDS[Path(urlsplit(url).path).name]
        names = {f"var-{variable['name']}" for variable in goal["templating"]["list"]}
        given = dict(parse_qsl(urlsplit(url).query))
        assert set(given) <= names
        assert url.endswith("&${__url_time_range}")
        fields = set(re.findall(r"__data\.fields\.(\w+)", url))
        assert fields <= set(panel["transformations"][1]["options"]["indexByName"])


def test_an_alert_leads_to_a_dashboard_with_variables_that_it_has() -> None:
    for alert in all_alerts(SOURCES):
        path, _, query = dashboard_path(alert).partition("?")
        names = {f"var-{each['name']}" for each in DASHBOARDS[path]["templating"]["list"]}
        assert {name for name, _ in parse_qsl(query)} <= names


def test_alerts_are_drawn_on_the_dashboards_that_they_lead_to() -> None:
    for alert in all_alerts(SOURCES):
        uid = dashboard_path(alert).partition("?")[0]
        (annotation,) = DASHBOARDS[uid]["annotations"]["list"]
        assert alert.name in re.split(r'[|"]', annotation["expr"])
        assert annotation["expr"] == annotation["target"]["expr"]
        assert promql_parser.parse(filled(annotation["expr"]))


def test_every_component_of_the_alerts_is_on_the_overview() -> None:
    (annotation,) = DASHBOARDS["poolscope-overview"]["annotations"]["list"]
    assert len(Component) == 3
    assert all(alert.name in annotation["expr"] for alert in all_alerts(SOURCES))


def test_the_linter_is_told_of_all_queries_on_series_of_applications_and_of_no_others() -> None:
    text = (FOLDER / ".lint").read_text(encoding="utf-8")
    entry = r'- dashboard: "(.+)"\n +panel: "(.+)"\n +targetIdx: "(\d+)"'
    told = re.findall(entry, text)
    expected = [
        (dashboard["title"], panel["title"], str(index))
        for uid in TITLES
        for dashboard in (DASHBOARDS[uid],)
        for panel in shown(dashboard)
        for index, target in enumerate(panel.get("targets", []))
        if {str(selector.name) for selector in selectors(target["expr"])} - OWN
    ]
    assert told == expected * 2
    assert re.findall(r"^  (\S+):$", text, re.MULTILINE) == [
        "target-instance-rule",
        "target-job-rule",
    ]
    assert text.count("reason:") == 2


def test_every_word_of_the_exporter_has_a_colour_and_only_health_is_green() -> None:
    assert set(DIAGNOSES) == set(Diagnosis)
    assert set(VERDICTS) == set(Verdict)
    green = {diagnosis for diagnosis, (colour, _) in DIAGNOSES.items() if "green" in colour}
    assert green == {Diagnosis.HEALTHY}
    assert {verdict for verdict, colour in VERDICTS.items() if colour == GREEN} == {Verdict.WORKING}
    assert DIAGNOSES[Diagnosis.UNKNOWN][0] == VERDICTS[Verdict.UNKNOWN] == GREY


def test_an_unknown_process_hides_a_healthy_one_and_no_trouble() -> None:
    assert rank(Diagnosis.HEALTHY) < rank(Diagnosis.UNKNOWN)
    assert all(
        rank(each) > rank(Diagnosis.UNKNOWN)
        for each in set(Diagnosis) - {Diagnosis.HEALTHY, Diagnosis.UNKNOWN}
    )


@pytest.mark.parametrize(("uid", "panel"), PANELS)
def test_what_has_no_number_is_never_green(uid: str, panel: Json) -> None:
    """Grafana gives a missing number the colour of the first step, or of its null mapping."""
    if panel["type"] == "text":
        return
    defaults = panel["fieldConfig"]["defaults"]
    lists = [defaults["thresholds"]["steps"]] + [
        found["value"]["steps"]
        for override in panel["fieldConfig"]["overrides"]
        for found in override["properties"]
        if found["id"] == "thresholds"
    ]
    for steps in lists:
        assert steps[0]["value"] is None
        assert steps[0]["color"] in {GREY, "transparent"}
    for mapping in defaults.get("mappings", []):
        if mapping["type"] == "special":
            assert mapping["options"]["result"]["color"] == GREY


@pytest.mark.parametrize(
    ("uid", "title", "row", "number"),
    [
        ("poolscope-pool", "How long does a caller wait for a connection?", "T1", 1.0),
        ("poolscope-overview", "How long does it take to get a connection? (p95)", "T1", 1.0),
        ("poolscope-pool", "How full is each process?", "T2", 0.95),
        ("poolscope-pool", "Fullest process", "T2", 0.95),
        ("poolscope-pool", "How long do those queue who must?", "T5", 5.0),
        ("poolscope-pool", "Which share of those who ask times out?", "T6", 0.01),
        ("poolscope-server", "Are its CPUs busy?", "T7", 0.55),
        ("poolscope-server", "CPUs busy", "T7", 0.55),
        ("poolscope-server", "What is left of its limits?", "T9", 0.3),
        ("poolscope-pool", "What does pre-ping cost?", "C5", 0.004),
    ],
)
def test_a_threshold_that_is_changed_in_its_file_moves_the_line(
    uid: str, title: str, row: str, number: float
) -> None:
    def steps(sources: Sources) -> list[float]:
        board = next(each for each in boards(sources) if each.uid == uid)
        panel = next(each for each in board.panels if each.title == title)
        return [step.value for step in panel.steps if step.value is not None]

    documented = DEFAULTS[ThresholdId(row)].limit
    assert documented in steps(SOURCES)
    other = replace(SOURCES, thresholds=changed(DEFAULTS, {row: {"value": number}}))
    assert number in steps(other)
    assert documented not in steps(other)


@pytest.mark.parametrize("check", ["C1", "C2", "C3", "C6"])
def test_a_safe_range_that_is_changed_in_its_file_moves_the_colours(check: str) -> None:
    titles = {
        "C1": "pool_size",
        "C2": "max_overflow per pool_size",
        "C3": "pool_timeout",
        "C6": "TCP keepalive",
    }
    change = {check: {"least": 0.25, "most": 0.75}}
    other = replace(SOURCES, thresholds=changed(DEFAULTS, change))
    board = next(each for each in boards(other) if each.uid == "poolscope-pool")
    panel = next(each for each in board.panels if each.title == titles[check])
    safe = [step.value for step in panel.steps if step.colour == GREEN]
    assert safe == [0.25]


def test_the_documented_thresholds_are_named_where_they_are_drawn() -> None:
    """T10 is two panels apart; C12 and C13 are advice to people."""
    text = json.dumps(DASHBOARDS)
    for row in ThresholdId:
        assert re.search(rf"\b{row}\b", text), row


@pytest.mark.parametrize(
    "wrong",
    [
        'max by (server) (poolscope_server_upp{job=~"$job", instance=~"$instance"})',
        'poolscope_server_up{job=~"$job", instance=~"$instance", sever="$server"}',
        "rate(poolscope_checkouts_total)",
    ],
)
def test_a_wrong_query_would_be_found(wrong: str) -> None:
    assert problems(filled(without_exporter(wrong)))

"""The dashboards are what their sources say, import everywhere, and lead to each other."""

import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import promql_parser
import pytest

from poolscope.recording.waiters import CALLER_PHASES
from poolscope_alerts.model import Component, dashboard_path
from poolscope_alerts.pool_timeouts import BURNS, ratio_name
from poolscope_alerts.prometheus_rules import all_alerts
from poolscope_dashboards.__main__ import FOLDER, files, main
from poolscope_dashboards.kit.board import TITLES
from support.documents.dashboards import (
    DASHBOARDS,
    SOURCES,
    Json,
    filled,
    flat,
    links,
    measured,
    properties,
    selectors,
    shown,
    without_scraping,
)
from support.prometheus.promql_names import known_series, problems

# Each of them is in Grafana 10.4.
KINDS: Final = {"stat", "timeseries", "table", "state-timeline", "text"}
SHOWN_RANGES: Final = {"$__range": "in range", "5m": "5 min"}
"""What the title of a number has for the range of its query."""

UNITS: Final = {"none", "percentunit", "s", "cps", "bytes"}

every_dashboard = pytest.mark.parametrize(
    "dashboard", DASHBOARDS.values(), ids=lambda dashboard: str(dashboard["uid"])
)


@pytest.mark.parametrize("name", sorted(files(SOURCES)))
def test_a_committed_file_is_what_make_rules_writes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == files(SOURCES)[name]


def test_every_committed_dashboard_is_generated() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(TITLES)


def test_the_same_sources_make_the_same_files(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == files(SOURCES)


@every_dashboard
def test_a_dashboard_is_classic_and_has_kinds_of_panels_that_all_releases_have(
    dashboard: Json,
) -> None:
    assert dashboard["schemaVersion"] == 39
    assert dashboard["editable"] is False
    assert len(dashboard["uid"]) <= 40
    assert dashboard["title"] == TITLES[dashboard["uid"]]
    assert dashboard["description"]
    assert {panel["type"] for panel in shown(dashboard)} <= KINDS
    controls = (dashboard["links"], dashboard["annotations"], dashboard["templating"])
    assert "placement" not in json.dumps(controls)  # Grafana 12.3 hides them by it


@every_dashboard
def test_kubectl_can_apply_a_dashboard(dashboard: Json) -> None:
    """It stores the whole ConfigMap in an annotation, which Kubernetes limits to 256 KiB."""
    text = (FOLDER / f"{dashboard['uid']}.json").read_text(encoding="utf-8")
    assert len(json.dumps(text).encode()) < 250 * 1024


@every_dashboard
def test_panels_have_ids_and_titles_of_their_own(dashboard: Json) -> None:
    panels = list(flat(dashboard["panels"]))
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)  # exclusions go by title


@every_dashboard
def test_panels_are_inside_the_grid_and_do_not_overlap(dashboard: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in flat(dashboard["panels"]):
        grid = panel["gridPos"]
        columns = range(grid["x"], grid["x"] + grid["w"])
        cells = {(x, y) for x in columns for y in range(grid["y"], grid["y"] + grid["h"])}
        assert 0 <= columns.start < columns.stop <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@every_dashboard
def test_what_a_closed_row_holds_is_in_it_and_what_an_open_one_holds_is_below(
    dashboard: Json,
) -> None:
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            assert bool(panel["panels"]) is panel["collapsed"]


@every_dashboard
def test_the_first_line_answers_in_numbers_and_words(dashboard: Json) -> None:
    first = [panel for panel in dashboard["panels"] if panel["gridPos"]["y"] == 0]
    assert {panel["type"] for panel in first} == {"stat"}
    assert sum(panel["gridPos"]["w"] for panel in first) == 24


@every_dashboard
def test_every_panel_has_a_title_and_says_what_it_shows(dashboard: Json) -> None:
    for panel in shown(dashboard):
        assert panel["title"]
        assert len(panel["description"]) >= 40
        assert panel["description"].endswith(".")


@every_dashboard
def test_a_number_over_a_range_has_the_range_in_its_title(dashboard: Json) -> None:
    """Without it, "Time-outs: 12" looks like a number of this moment."""
    for panel in shown(dashboard):
        if panel["type"] == "stat":
            (target,) = panel["targets"]
            ranges = set(re.findall(r"\[(\$__range|\w+)\]", target["expr"]))
            expected = [SHOWN_RANGES[each] for each in ranges]
            assert all(each in panel["title"] for each in expected), panel["title"]
            assert bool(expected) is any(each in panel["title"] for each in SHOWN_RANGES.values())


@every_dashboard
def test_a_title_fits_into_its_panel(dashboard: Json) -> None:
    """Of 24 columns on a screen of 1600 pixels, a column has room for seven letters of a title."""
    for panel in shown(dashboard):
        assert len(panel["title"]) <= 7 * panel["gridPos"]["w"], panel["title"]


@every_dashboard
def test_every_number_has_a_unit_and_words_for_when_there_is_none(dashboard: Json) -> None:
    for panel in measured(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS
        assert set(properties(panel, "unit")) <= UNITS
        assert defaults["noValue"]
        assert defaults["color"]["mode"]


@every_dashboard
def test_every_query_goes_to_the_chosen_data_source(dashboard: Json) -> None:
    for panel in measured(dashboard):
        asked = [panel, *panel["targets"]]
        assert {each["datasource"]["uid"] for each in asked} == {"${datasource}"}
        names = [target["refId"] for target in panel["targets"]]
        assert names == [chr(ord("A") + index) for index in range(len(names))]


@every_dashboard
def test_the_variables_that_are_used_are_those_that_are_there(dashboard: Json) -> None:
    defined = [variable["name"] for variable in dashboard["templating"]["list"]]
    text = json.dumps([dashboard[key] for key in ("panels", "annotations", "templating")])
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) == set(defined)
    assert defined[:3] == ["datasource", "job", "instance"]


@every_dashboard
def test_the_choices_of_a_variable_come_from_known_series(dashboard: Json) -> None:
    for variable in dashboard["templating"]["list"][1:]:
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert found
        assert variable["refresh"] == 2
        series = filled(without_scraping(found[1]))
        assert problems(series) == []
        labels = known_series()[str(selectors(series)[0].name)]
        assert found[2] in labels | {"job", "instance", "cluster"}


@every_dashboard
def test_job_and_instance_are_chosen_as_grafanas_linter_wants(dashboard: Json) -> None:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert variables["datasource"]["label"] == "Data source"
    for name in ("job", "instance"):
        assert variables[name]["label"] == name.capitalize()
        assert variables[name]["multi"]
        assert variables[name]["allValue"] == ".+"


def test_every_dashboard_leads_to_the_others_and_keeps_the_time() -> None:
    for uid, dashboard in DASHBOARDS.items():
        assert {link["url"] for link in dashboard["links"]} == {
            f"/d/{other}" for other in TITLES if other != uid
        }
        assert all(link["keepTime"] and link["includeVars"] for link in dashboard["links"])


def test_a_row_of_a_table_leads_to_a_dashboard_with_variables_that_it_has() -> None:
    found = [
        (panel, urlsplit(url))
        for dashboard in DASHBOARDS.values()
        for panel in measured(dashboard)
        for url in links(panel)
    ]
    assert {url.path for _, url in found} == {
        f"/d/poolscope-{board}" for board in ("overview", "pool", "server")
    }
    for panel, url in found:
        assert set(dict(parse_qsl(url.query))) <= variables_of(Path(url.path).name)
        assert url.query.endswith("&${__url_time_range}")
        columns = panel["transformations"][1]["options"]["indexByName"]
        assert set(re.findall(r"__data\.fields\.(\w+)", url.query)) <= set(columns)


def variables_of(uid: str) -> set[str]:
    return {f"var-{each['name']}" for each in DASHBOARDS[uid]["templating"]["list"]}


def test_an_alert_leads_to_a_dashboard_with_variables_that_it_has() -> None:
    for alert in all_alerts(SOURCES):
        uid, _, query = dashboard_path(alert).partition("?")
        assert set(dict(parse_qsl(query))) <= variables_of(uid)


def test_an_alert_is_drawn_on_the_dashboard_that_it_leads_to_and_on_the_overview() -> None:
    assert len(Component) == 3
    for alert in all_alerts(SOURCES):
        for uid in (dashboard_path(alert).partition("?")[0], "poolscope-overview"):
            (drawn,) = DASHBOARDS[uid]["annotations"]["list"]
            assert alert.name in re.split(r'[|"]', drawn["expr"])
            assert drawn["expr"] == drawn["target"]["expr"]  # for old and new releases
            assert promql_parser.parse(filled(drawn["expr"]))


def test_the_fullest_process_is_a_line_beside_the_sum_of_all_processes() -> None:
    """The sum is far from the limit while the callers of one full process wait."""
    (panel,) = (
        each
        for each in shown(DASHBOARDS["poolscope-pool"])
        if each["title"] == "Connections by state"
    )
    (query,) = (t for t in panel["targets"] if t["legendFormat"] == "fullest process")
    assert query["expr"].startswith("max by ()")
    (axis,) = properties(panel, "custom.axisPlacement")
    assert axis == "right"
    assert properties(panel, "unit") == ["percentunit"]


def test_the_error_budgets_are_those_that_the_alerts_record() -> None:
    text = json.dumps(DASHBOARDS["poolscope-slo"])
    recorded = {name for name in known_series() if name.startswith("service_pool:")}
    used = set(re.findall(r"service_pool:\w+:\w+", text))
    longs = {ratio_name(burn.long_s) for burn in BURNS}
    assert longs | {ratio_name(BURNS[0].short_s)} <= used <= recorded


def test_every_phase_that_callers_wait_in_has_a_colour_and_its_oldest_caller_in_seconds() -> None:
    (panel,) = (
        each for each in shown(DASHBOARDS["poolscope-pool"]) if each["title"] == "Callers by phase"
    )
    overrides = {
        each["matcher"]["options"]: {found["id"]: found["value"] for found in each["properties"]}
        for each in panel["fieldConfig"]["overrides"]
    }
    assert set(overrides) == {*CALLER_PHASES, *(f"oldest: {phase}" for phase in CALLER_PHASES)}
    for phase in CALLER_PHASES:
        of_age = overrides[f"oldest: {phase}"]
        assert of_age["unit"] == "s"
        assert of_age["custom.axisPlacement"] == "right"
        assert of_age["custom.stacking"]["mode"] == "none"
        assert of_age["color"] == overrides[phase]["color"]


def test_the_document_names_panels_that_exist() -> None:
    text = (FOLDER.parent / "docs" / "dashboards.md").read_text(encoding="utf-8")
    table = text.partition("## From question to panel")[2].partition("\n\nEvery panel")[0]
    rows = re.findall(r"^\| [^|]+ \| (\w+): (.+) \|$", table, re.MULTILINE)
    assert len(rows) > 10
    for board, panels in rows[1:]:  # below the heading
        titles = {panel["title"] for panel in shown(DASHBOARDS[f"poolscope-{board.lower()}"])}
        assert set(re.findall(r"\*([^*]+)\*", panels)) <= titles

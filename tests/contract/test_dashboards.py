"""The dashboards are what their sources say, import everywhere, and lead to each other."""

import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import promql_parser
import pytest

from poolscope_alerts.model import Component, dashboard_path
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
)
from support.prometheus.promql_names import known_series, problems

# Each of them is in Grafana 10.4.
KINDS: Final = {"stat", "timeseries", "table", "state-timeline", "text"}
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
        series = filled(re.sub(r'(?:job|instance)=~"\$\w+"(?:, )?', "", found[1]))
        assert problems(series) == []
        labels = known_series()[str(selectors(series)[0].name)]
        assert found[2] in labels | {"job", "instance"}


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
    assert {url.path for _, url in found} == {"/d/poolscope-pool", "/d/poolscope-server"}
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


def test_the_document_names_panels_that_exist() -> None:
    text = (FOLDER.parent / "docs" / "dashboards.md").read_text(encoding="utf-8")
    table = text.partition("## From question to panel")[2].partition("\n\nEvery panel")[0]
    rows = re.findall(r"^\| [^|]+ \| (\w+): (.+) \|$", table, re.MULTILINE)
    assert len(rows) > 10
    for board, panels in rows[1:]:  # below the heading
        titles = {panel["title"] for panel in shown(DASHBOARDS[f"poolscope-{board.lower()}"])}
        assert set(re.findall(r"\*([^*]+)\*", panels)) <= titles

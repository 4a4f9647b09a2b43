"""Ask as Grafana would: what stands in a query where a variable was."""

import pytest

from poolscope_generators.incident.dashboards import Dashboard, Panel, Range, Variable
from poolscope_generators.incident.prometheus import Prometheus

NOBODY = Prometheus("http://127.0.0.1:1")
TIME = Range(1000.0, 1600.0, 5.0)


def a_dashboard(*variables: Variable, **spec: object) -> Dashboard:
    board = Dashboard({"uid": "any", "panels": [], **spec}, NOBODY, TIME)
    board.variables = {variable.name: variable for variable in variables}
    return board


def test_all_of_a_variable_is_its_all_value() -> None:
    job = Variable("job", ("a", "b"), all_value=".+", is_multi=True)
    assert a_dashboard(job).filled('up{job=~"$job"}') == 'up{job=~".+"}'


def test_several_values_become_a_regex_with_what_is_special_quoted() -> None:
    chosen = ("10.0.0.1:9736", "b")
    instance = Variable("instance", chosen, chosen, ".+", is_multi=True)
    filled = a_dashboard(instance).filled('up{instance=~"${instance}"}')
    assert filled == r'up{instance=~"(10\\.0\\.0\\.1:9736|b)"}'


def test_a_variable_of_one_value_is_not_quoted() -> None:
    server = Variable("server", ("10.0.0.1:5432", "b"))
    assert a_dashboard(server).filled('up{server="$server"}') == 'up{server="10.0.0.1:5432"}'


def test_a_variable_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        a_dashboard().filled("up == $nothing")


@pytest.mark.parametrize(
    ("scrape_s", "length_s", "interval"),
    [(5.0, 600.0, "20s"), (15.0, 600.0, "60s"), (5.0, 40_000.0, "105s")],
)
def test_the_rate_interval_has_four_scrapes_or_a_step_and_a_scrape(
    scrape_s: float, length_s: float, interval: str
) -> None:
    assert Range(0.0, length_s, scrape_s).built_in()["__rate_interval"] == interval


def test_panels_of_collapsed_rows_are_asked_too() -> None:
    inner = {"type": "stat", "title": "inner"}
    row = {"type": "row", "title": "row", "panels": [inner]}
    board = a_dashboard(panels=[row, {"type": "table", "title": "outer"}])
    assert [panel.title for panel in board.panels()] == ["inner", "outer"]


def test_hidden_targets_are_not_asked() -> None:
    panel = Panel("any", {"targets": [{"expr": "a", "hide": True}, {"expr": "b"}]})
    assert [target["expr"] for target in panel.targets] == ["b"]

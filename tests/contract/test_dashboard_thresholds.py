"""The dashboards draw the documented limits, and colour nothing green that is not known."""

import json
import re
from dataclasses import replace
from itertools import chain

import pytest

from poolscope_alerts.model import Sources
from poolscope_dashboards.__main__ import boards
from poolscope_dashboards.kit.palette import DIAGNOSES, GREEN, GREY, VERDICTS, rank
from poolscope_dashboards.kit.panel import Panel
from poolscope_exporter.core.checks.thresholds import DEFAULTS, ThresholdId, changed
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from support.documents.dashboards import DASHBOARDS, SOURCES, Json, measured, properties

every_dashboard = pytest.mark.parametrize(
    "dashboard", DASHBOARDS.values(), ids=lambda dashboard: str(dashboard["uid"])
)


def panel_of(sources: Sources, uid: str, title: str) -> Panel:
    board = next(each for each in boards(sources) if each.uid == uid)
    return next(each for each in board.panels if each.title == title)


def limits_of(panel: Panel) -> list[float]:
    return [step.value for step in panel.steps if step.value is not None]


@pytest.mark.parametrize(
    ("uid", "title", "row", "number"),
    [
        ("poolscope-pool", "Time to get a connection", "T1", 1.0),
        ("poolscope-pool", "Fullest processes, top 10", "T2", 0.95),
        ("poolscope-pool", "Fullest process", "T2", 0.95),
        ("poolscope-pool", "Time in the pool queue", "T5", 5.0),
        ("poolscope-pool", "Share of checkouts that waited long or failed", "T6", 0.01),
        ("poolscope-overview", "Share of checkouts that timed out", "T6", 0.01),
        ("poolscope-server", "Busy CPUs over time", "T7", 0.55),
        ("poolscope-server", "CPUs busy, 5 min mean", "T7", 0.55),
        ("poolscope-server", "Share left of each limit", "T9", 0.3),
        ("poolscope-pool", "Time of the pre-ping", "C5", 0.004),
    ],
)
def test_a_limit_that_is_changed_in_its_file_moves_the_line(
    uid: str, title: str, row: str, number: float
) -> None:
    other = replace(SOURCES, thresholds=changed(DEFAULTS, {row: {"value": number}}))
    documented = DEFAULTS[ThresholdId(row)].limit
    assert documented in limits_of(panel_of(SOURCES, uid, title))
    assert number in limits_of(panel_of(other, uid, title))
    assert documented not in limits_of(panel_of(other, uid, title))


def test_a_wait_that_is_too_long_is_counted_by_the_limit_of_its_file() -> None:
    title = "Share of checkouts that waited long or failed"
    other = replace(SOURCES, thresholds=changed(DEFAULTS, {"T1": {"value": 1.0}}))
    for sources, bound in ((SOURCES, '"0[.]5"'), (other, '"1|1[.]0"')):
        for uid, index in (("poolscope-overview", 0), ("poolscope-pool", 1)):
            assert f"le=~{bound}" in panel_of(sources, uid, title).queries[index].expression


def test_a_reserve_that_is_changed_in_its_file_moves_the_line() -> None:
    other = replace(SOURCES, thresholds=changed(DEFAULTS, {"T9": {"value": 0.3}}))
    for sources, line in ((SOURCES, "0.8 * "), (other, "0.7 * ")):
        panel = panel_of(sources, "poolscope-server", "Sessions by state")
        assert panel.queries[-1].expression.startswith(line)


@pytest.mark.parametrize(
    ("check", "title"),
    [
        ("C1", "pool_size"),
        ("C2", "max_overflow share"),
        ("C3", "pool_timeout"),
        ("C6", "TCP keepalive"),
    ],
)
def test_a_safe_range_is_green_from_its_least_to_its_most_and_not_beyond(
    check: str, title: str
) -> None:
    change = {check: {"least": 2, "most": 4}}
    other = replace(SOURCES, thresholds=changed(DEFAULTS, change))
    steps = panel_of(other, "poolscope-pool", title).steps
    assert [step.value for step in steps if step.colour == GREEN] == [2]
    beyond = steps[-1].value
    assert beyond is not None
    assert 4 < beyond <= 5


def test_every_documented_threshold_is_named_on_a_dashboard() -> None:
    text = json.dumps(DASHBOARDS)
    assert [row for row in ThresholdId if not re.search(rf"\b{row}\b", text)] == []


def test_every_word_of_the_exporter_has_a_colour_and_only_health_is_green() -> None:
    assert set(DIAGNOSES) == set(Diagnosis)
    assert set(VERDICTS) == set(Verdict)
    green = {diagnosis for diagnosis, (colour, _, _) in DIAGNOSES.items() if "green" in colour}
    assert green == {Diagnosis.HEALTHY}
    assert {verdict for verdict, colour in VERDICTS.items() if "green" in colour} == {
        Verdict.WORKING
    }
    assert DIAGNOSES[Diagnosis.UNKNOWN][0] == VERDICTS[Verdict.UNKNOWN] == GREY


def test_an_unknown_process_hides_a_healthy_one_and_no_trouble() -> None:
    ranks = sorted(Diagnosis, key=rank)
    assert ranks[:2] == [Diagnosis.HEALTHY, Diagnosis.UNKNOWN]
    troubles = [each for each in Diagnosis if each not in ranks[:2]]
    assert ranks[2:] == troubles[::-1]  # the exporter's own order: its first match is the worst


@every_dashboard
def test_what_has_no_number_is_never_green(dashboard: Json) -> None:
    """Grafana gives a missing number the colour of the first step, or of its null mapping."""
    for panel in measured(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        all_steps = [defaults["thresholds"], *properties(panel, "thresholds")]
        for thresholds in all_steps:
            first = thresholds["steps"][0]
            assert first["value"] is None
            assert first["color"] in {GREY, "transparent"}, panel["title"]
        mappings = [*defaults.get("mappings", []), *chain(*properties(panel, "mappings"))]
        for mapping in mappings:
            if mapping["type"] == "special":
                assert mapping["options"]["result"]["color"] == GREY

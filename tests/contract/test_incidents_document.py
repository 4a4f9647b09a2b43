"""The table of the incidents agrees with the shipped rules, with its stories and with the page."""

import pytest

from incidents.play import STORIES
from incidents.table import AWAITED, DOWN, HIDDEN, TRUTHS
from poolscope_alerts.__main__ import alerts_by_name, load_sources
from poolscope_exporter.core.checks.model import CheckId
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_generators.incidents.document import DOCUMENT, INCIDENTS, row, truth_cells
from poolscope_generators.incidents.truth import Truth

RULES = frozenset(alerts_by_name(load_sources()))
SET_UP_S = 60
SHOWN = {*Diagnosis, *CheckId, DOWN, HIDDEN}


def test_every_incident_has_its_story() -> None:
    assert [truth.name for truth in TRUTHS] == list(STORIES)
    assert len(STORIES) == INCIDENTS


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_the_right_names_are_those_of_the_shipped_rules(truth: Truth) -> None:
    assert set(truth.alerts) <= RULES | AWAITED
    assert set(truth.diagnosis) <= SHOWN


def test_the_whole_run_takes_at_most_32_minutes() -> None:
    last_s = max(
        truth.starts_s + truth.well_s + truth.lasts_s + truth.watched_after_s for truth in TRUTHS
    )
    assert last_s + SET_UP_S <= 32 * 60


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_the_page_has_the_truth_of_the_incident(truth: Truth) -> None:
    lines = DOCUMENT.read_text().splitlines()
    assert row(truth_cells(truth)) in lines, "run `make incidents`"

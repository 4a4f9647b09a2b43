"""Every statement in docs/guides.md has a state, a reason where it needs one, and real places."""

import json
import re

import pytest

from poolscope_exporter.core.checks.model import CheckId
from poolscope_exporter.core.checks.thresholds import ThresholdId
from poolscope_generators.tables.guide_statement import Coverage, GuideStatement
from poolscope_generators.tables.guides import BEGIN, DOCUMENT, END, SECTIONS, tables
from support.documents.anchors import DocumentLink, document_links
from support.documents.markdown import ROOT

STATEMENTS = [statement for section in SECTIONS for statement in section.statements]
TABLES = "\n".join(tables())
LINKS = document_links(DOCUMENT.read_text(), DOCUMENT)

WITHOUT_A_NUMBER = frozenset({"C12", "C13"})
"""Rows of the documented thresholds that advise, and have nothing that could be exceeded."""


def alert_names() -> set[str]:
    """Return the names of all shipped alerts."""
    files = ("poolscope.rules.yaml", "poolscope-absent.rules.yaml")
    text = "\n".join((ROOT / "alerts" / name).read_text() for name in files)
    return set(re.findall(r"^\s*(?:- )?\"?alert\"?: \"?(\w+)\"?$", text, re.MULTILINE))


def panel_names() -> set[str]:
    """Return "Dashboard: Title" of every panel, those of collapsed rows included."""
    boards = [json.loads(path.read_text()) for path in (ROOT / "dashboards").glob("*.json")]
    return {
        f"{board['title'].removeprefix('poolscope / ')}: {panel['title']}"
        for board in boards
        for top in board["panels"]
        for panel in (top, *top.get("panels", ()))
    }


def test_the_tables_are_those_of_the_source() -> None:
    written = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == TABLES.strip(), "run `make docs`"


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.words[:40])
def test_no_row_is_empty(statement: GuideStatement) -> None:
    assert statement.words
    assert statement.cure
    places = (*statement.alerts, *statement.panels, *statement.checks)
    is_taught = bool(document_links(statement.cure, DOCUMENT))
    assert places or is_taught or statement.coverage is Coverage.NOT


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.words[:40])
def test_a_row_has_a_reason_unless_it_is_covered(statement: GuideStatement) -> None:
    assert bool(statement.missing) is (statement.coverage is not Coverage.COVERED)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.words[:40])
def test_a_row_leaves_its_columns_whole(statement: GuideStatement) -> None:
    assert "|" not in statement.words + statement.cure + statement.missing


def test_no_statement_is_there_twice() -> None:
    assert len({statement.words for statement in STATEMENTS}) == len(STATEMENTS)


def test_every_documented_threshold_has_one_row() -> None:
    named = [row for statement in STATEMENTS for row in statement.rows]
    assert sorted(named) == sorted({*ThresholdId, *WITHOUT_A_NUMBER})


def test_every_alert_of_a_row_exists() -> None:
    named = {alert for statement in STATEMENTS for alert in statement.alerts}
    assert named - alert_names() == set()


def test_every_panel_of_a_row_exists() -> None:
    named = {panel for statement in STATEMENTS for panel in statement.panels}
    assert named - panel_names() == set()


def test_every_check_that_an_alert_reports_is_beside_it() -> None:
    rules = (ROOT / "alerts" / "poolscope.rules.yaml").read_text()
    reported = re.search(r'poolscope_config_check\{check_id=~"([C0-9|]+)"', rules)
    assert reported is not None
    named = {row for each in STATEMENTS if "PoolMisconfigured" in each.alerts for row in each.rows}
    assert named == set(reported[1].split("|"))


def test_every_check_of_a_row_exists_and_every_check_has_a_row() -> None:
    assert {check for statement in STATEMENTS for check in statement.checks} == set(CheckId)


@pytest.mark.parametrize("link", LINKS, ids=str)
def test_every_link_leads_to_a_file_and_a_heading(link: DocumentLink) -> None:
    assert link.leads_somewhere

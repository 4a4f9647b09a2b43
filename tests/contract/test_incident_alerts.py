"""The alerts that an incident names are those that fire for its diagnoses."""

import re

import pytest

from poolscope_alerts.__main__ import alerts_by_name, load_sources
from poolscope_exporter.core.incidents.alert_names import ALERTS, alerts_of
from poolscope_exporter.core.incidents.incident import QUIET
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from support.documents.markdown import ROOT

RULES = alerts_by_name(load_sources())
DIAGNOSES = (ROOT / "docs" / "diagnoses.md").read_text()


def diagnoses_of(expression: str) -> set[str]:
    """Return the diagnoses that the first part of an expression requires."""
    required = expression.partition(" unless ")[0]
    return set(re.findall(r'diagnosis="(\w+)"', required)) | set(
        re.findall(r'diagnosis=~"(\w+)"', required)
    )


def test_every_problem_has_an_alert() -> None:
    assert set(ALERTS) == set(Diagnosis) - QUIET


@pytest.mark.parametrize("diagnosis", ALERTS)
def test_every_named_alert_exists(diagnosis: Diagnosis) -> None:
    assert set(ALERTS[diagnosis]) <= RULES.keys()


@pytest.mark.parametrize("name", RULES)
def test_an_alert_on_a_diagnosis_is_named_for_it(name: str) -> None:
    required = {found for each in RULES[name] for found in diagnoses_of(each.expression)}
    for diagnosis in required - QUIET:
        assert name in ALERTS[Diagnosis(diagnosis)]


@pytest.mark.parametrize("diagnosis", ALERTS)
def test_the_runbook_of_a_diagnosis_is_that_of_one_of_its_alerts(diagnosis: Diagnosis) -> None:
    (row,) = (line for line in DIAGNOSES.splitlines() if line.startswith(f"| `{diagnosis}` |"))
    named = set(re.findall(r"runbooks/(\w+)\.md", row))
    assert named <= set(ALERTS[diagnosis])


def test_several_diagnoses_name_each_alert_once() -> None:
    assert alerts_of([Diagnosis.FULL, Diagnosis.UNDERSIZED, Diagnosis.UNKNOWN]) == (
        "PoolExhausted",
    )

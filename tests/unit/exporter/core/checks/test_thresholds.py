"""The documented thresholds are all there, with their numbers, and change only to good ones."""

from collections.abc import Mapping
from typing import Any

import pytest

from poolscope_exporter.core.checks.thresholds import (
    DEFAULTS,
    Severity,
    Threshold,
    ThresholdId,
    Unit,
    WrongThresholdsError,
    changed,
)

NUMBERS: dict[str, tuple[Any, ...]] = {
    "T1": (Unit.SECONDS, 0.5, None, None, 120, "warning"),
    "T2": (Unit.SHARE, 1, None, None, 0, "critical"),
    "T3": (Unit.NONE, None, None, None, 300, "warning"),
    "T4": (Unit.NONE, None, None, None, 0, "warning"),
    "T5": (Unit.SECONDS, 2, None, None, 0, "warning"),
    "T6": (Unit.SHARE, 0.001, None, None, 0, "warning"),
    "T7": (Unit.SHARE, 0.7, None, None, 0, "warning"),
    "T8": (Unit.EVENTS, 0, None, None, 0, "warning"),
    "T9": (Unit.SHARE, 0.2, None, None, 0, "warning"),
    "T10": (Unit.NONE, None, None, None, 0, "info"),
    "C1": (Unit.CONNECTIONS, None, 5, 20, 0, "info"),
    "C2": (Unit.RATIO, None, 0.5, 1, 0, "info"),
    "C3": (Unit.SECONDS, None, 10, 30, 0, "info"),
    "C4": (Unit.SHARE, 0.75, None, None, 0, "info"),
    "C5": (Unit.SECONDS, 0.002, None, 0.02, 0, "info"),
    "C6": (Unit.SECONDS, None, 300, 600, 0, "info"),
    "C7": (Unit.SHARE, 0.2, None, None, 0, "info"),
    "C8": (Unit.SHARE, 1, None, None, 0, "info"),
    "C9": (Unit.NONE, None, None, None, 0, "info"),
    "C10": (Unit.EVENTS, 0, None, None, 0, "warning"),
    "C11": (Unit.EVENTS, 0, None, None, 0, "warning"),
    "C14": (Unit.SHARE, 0.5, None, None, 0, "info"),
    "C15": (Unit.NONE, None, None, None, 0, "info"),
    "C16": (Unit.POOLS, 10, None, None, 0, "info"),
}


def facts(row: Threshold) -> tuple[Any, ...]:
    return row.unit, row.value, row.least, row.most, row.for_s, row.severity


def test_every_documented_row_has_the_documented_numbers() -> None:
    assert {row.id: facts(row) for row in DEFAULTS} == NUMBERS
    assert [row.id for row in DEFAULTS] == list(ThresholdId)


@pytest.mark.parametrize("row", DEFAULTS.rows, ids=lambda row: row.id)
def test_every_row_says_what_it_is_and_its_cure_in_a_sentence(row: Threshold) -> None:
    assert row.title
    assert row.advice.endswith(".")


def test_number_that_a_row_does_not_have_is_an_error_and_not_zero() -> None:
    assert DEFAULTS[ThresholdId.T1].limit == 0.5
    assert (DEFAULTS[ThresholdId.C3].lowest, DEFAULTS[ThresholdId.C3].highest) == (10, 30)
    with pytest.raises(ValueError, match="T3 has no value"):
        _ = DEFAULTS[ThresholdId.T3].limit
    with pytest.raises(ValueError, match="T1 has no most"):
        _ = DEFAULTS[ThresholdId.T1].highest


def test_change_touches_nothing_but_what_it_names() -> None:
    other = changed(DEFAULTS, {"T1": {"value": 1, "severity": "critical"}, "C1": {"most": 50}})
    assert facts(other[ThresholdId.T1]) == (Unit.SECONDS, 1, None, None, 120, Severity.CRITICAL)
    assert facts(other[ThresholdId.C1]) == (Unit.CONNECTIONS, None, 5, 50, 0, Severity.INFO)
    same = [row.id for row in DEFAULTS if row == other[row.id]]
    assert same == [each for each in ThresholdId if each not in ("T1", "C1")]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"T99": {}}, "T99: is not a threshold; they are T1,"),
        ({"T1": 5}, "T1: must be a table: [T1]"),
        ({"T1": {"most": 5}}, "T1.most = 5: is not a setting of this threshold; they are value,"),
        ({"T1": {"value": -1}}, "T1.value = -1: must be a number, 0 or more"),
        ({"T1": {"value": "5"}}, "T1.value = 5: must be a number, 0 or more"),
        ({"T1": {"value": True}}, "T1.value = True: must be a number, 0 or more"),
        ({"T1": {"for_s": float("nan")}}, "T1.for_s = nan: must be a number, 0 or more"),
        ({"T9": {"value": 20}}, "T9.value = 20: must be a number from 0 to 1"),
        ({"T1": {"severity": "dire"}}, "T1.severity = dire: must be one of critical, warning"),
        ({"T1": {"severity": ["info"]}}, "T1.severity = ['info']: must be one of critical"),
        ({"C1": {"least": 30}}, "C1: least must not exceed most"),
    ],
)
def test_wrong_change_is_refused_with_what_it_must_be(
    changes: Mapping[str, Any], problem: str
) -> None:
    with pytest.raises(WrongThresholdsError) as caught:
        changed(DEFAULTS, changes)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(problem)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(WrongThresholdsError) as caught:
        changed(DEFAULTS, {"X": {}, "T1": {"value": -1, "for_s": -1}, "C1": {"most": 1}})
    assert len(caught.value.problems) == 4

"""The outcome of each test is read from pytest's junit XML."""

import pytest

from poolscope_peers.outcomes import Outcome, counts, read_outcomes


def a_case(name: str, content: str = "") -> str:
    node_id = f'<properties><property name="node_id" value="{name}"/></properties>'
    return f'<testcase classname="c" name="n">{node_id}{content}</testcase>'


def a_file(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        ("", Outcome.PASSED),
        ('<failure message="m"/>', Outcome.FAILED),
        ('<error message="m"/>', Outcome.FAILED),
        ('<skipped type="pytest.xfail"/>', Outcome.SKIPPED),
        ("<system-out>printed</system-out>", Outcome.PASSED),
    ],
)
def test_outcome_follows_from_the_element(content: str, outcome: Outcome) -> None:
    assert read_outcomes(a_file(a_case("t.py::test_a", content))) == {"t.py::test_a": outcome}


def test_test_that_passed_and_failed_in_its_teardown_has_failed() -> None:
    passed, failed = a_case("t.py::test_a"), a_case("t.py::test_a", "<error/>")
    assert read_outcomes(a_file(passed, failed)) == {"t.py::test_a": Outcome.FAILED}
    assert read_outcomes(a_file(failed, passed)) == {"t.py::test_a": Outcome.FAILED}


def test_file_that_cannot_be_imported_is_named_by_its_module() -> None:
    case = '<testcase classname="" name="tests.test_a"><error/></testcase>'
    assert read_outcomes(a_file(case)) == {"::tests.test_a": Outcome.FAILED}


def test_counts_are_passed_failed_and_skipped() -> None:
    outcomes = {"a": Outcome.PASSED, "b": Outcome.PASSED, "c": Outcome.SKIPPED}
    assert counts(outcomes) == "2/0/1"

"""Two runs are compared test by test, and a test that differs is run again before it counts."""

from collections.abc import Iterator

import pytest

from poolscope_peers.compare import Decision, Difference, Finding, decide, differences, ours
from poolscope_peers.outcomes import Outcome

PASSED, FAILED, SKIPPED, MISSING = (
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.SKIPPED,
    Outcome.MISSING,
)
WORSE = Difference("test_a", PASSED, FAILED)


class Reruns:
    """A double of the reruns: each call returns the next outcome with poolscope."""

    def __init__(self, *instrumented: Outcome, bare: Outcome = PASSED) -> None:
        self.differences: Iterator[Difference] = iter(
            [Difference("test_a", bare, each) for each in instrumented]
        )

    def __call__(self, test: str) -> Difference:
        assert test == "test_a"
        return next(self.differences)


def test_equal_outcomes_are_no_difference() -> None:
    outcomes = {"test_a": PASSED, "test_b": FAILED, "test_c": SKIPPED}
    assert differences(outcomes, dict(outcomes)) == []


def test_each_other_outcome_is_a_difference() -> None:
    found = differences({"test_a": PASSED, "test_b": FAILED}, {"test_a": FAILED, "test_b": PASSED})
    assert found == [WORSE, Difference("test_b", FAILED, PASSED)]


def test_test_that_only_one_run_has_is_missing_in_the_other() -> None:
    found = differences({"test_a": PASSED}, {"test_b": PASSED})
    assert found == [
        Difference("test_a", PASSED, MISSING),
        Difference("test_b", MISSING, PASSED),
    ]


@pytest.mark.parametrize(
    ("bare", "instrumented", "is_worse"),
    [
        (PASSED, FAILED, True),
        (PASSED, SKIPPED, True),
        (PASSED, MISSING, True),
        (SKIPPED, FAILED, True),
        (MISSING, FAILED, True),
        (FAILED, PASSED, False),
        (MISSING, PASSED, False),
    ],
)
def test_difference_is_worse_if_poolscope_takes_something_away(
    bare: Outcome, instrumented: Outcome, is_worse: bool
) -> None:
    assert Difference("test_a", bare, instrumented).is_worse is is_worse


def test_difference_in_every_rerun_is_ours() -> None:
    assert decide(WORSE, {}, Reruns(FAILED, FAILED, FAILED)).decision is Decision.OURS


@pytest.mark.parametrize("before", [0, 1, 2])
def test_difference_that_disappears_in_one_of_three_reruns_is_unstable(before: int) -> None:
    reruns = Reruns(*[FAILED] * before, PASSED)
    assert decide(WORSE, {}, reruns).decision is Decision.UNSTABLE


def test_test_that_fails_in_both_reruns_is_unstable() -> None:
    assert decide(WORSE, {}, Reruns(FAILED, bare=FAILED)).decision is Decision.UNSTABLE


def test_test_that_fails_only_without_poolscope_is_not_ours() -> None:
    better = Difference("test_a", FAILED, PASSED)
    reruns = Reruns(PASSED, PASSED, PASSED, bare=FAILED)
    assert decide(better, {}, reruns).decision is Decision.BETTER


def test_known_difference_is_not_run_again_and_has_its_reason() -> None:
    finding = decide(WORSE, {"test_a": "it forbids an import"}, Reruns())
    assert finding == Finding(WORSE, Decision.KNOWN, "it forbids an import")


def test_only_our_differences_count() -> None:
    findings = [Finding(WORSE, each, "") for each in Decision]
    assert [each.decision for each in ours(findings)] == [Decision.OURS]

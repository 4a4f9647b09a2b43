"""The report has a row for each suite, and each reason for which the comparison fails."""

from poolscope_peers.compare import Decision, Difference, Finding
from poolscope_peers.outcomes import Outcome
from poolscope_peers.pytest_run import SuiteRun
from poolscope_peers.report import detail_lines, report_lines
from poolscope_peers.suite_comparison import Comparison
from poolscope_peers.suites import SUITES

DIFFERENCE = Difference("t.py::test_a", Outcome.PASSED, Outcome.FAILED)


def a_run(*outcomes: Outcome, starts: int = 0, hook_errors: tuple[str, ...] = ()) -> SuiteRun:
    by_test = {f"t.py::test_{number}": each for number, each in enumerate(outcomes)}
    return SuiteRun(by_test, 1.0, starts, hook_errors, pushes=0)


def a_comparison(
    *findings: Finding, bare: SuiteRun | None = None, instrumented: SuiteRun | None = None
) -> Comparison:
    return Comparison(
        SUITES[0],
        bare or a_run(Outcome.PASSED),
        instrumented or a_run(Outcome.PASSED, starts=1),
        findings,
    )


def test_suite_without_a_difference_has_no_problem() -> None:
    assert a_comparison().problems == []
    assert list(report_lines([a_comparison()]))[-1] == "No test fails only with poolscope."


def test_test_that_fails_only_with_poolscope_is_a_problem() -> None:
    comparison = a_comparison(Finding(DIFFERENCE, Decision.OURS, "3 reruns"))
    expected = "starlette: t.py::test_a: passed bare, failed instrumented (3 reruns)"
    assert comparison.problems == [expected]
    assert list(report_lines([comparison]))[-2:] == ["1 problems:", expected]


def test_unstable_test_is_shown_but_is_no_problem() -> None:
    comparison = a_comparison(Finding(DIFFERENCE, Decision.UNSTABLE, "alone: passed in both"))
    assert comparison.problems == []
    [line] = detail_lines(comparison)
    assert line.startswith("starlette: unstable: t.py::test_a")


def test_bare_run_without_a_test_that_passed_is_a_problem() -> None:
    [problem] = a_comparison(bare=a_run(Outcome.FAILED)).problems
    assert "no test passed" in problem


def test_instrumented_run_without_poolscope_is_a_problem() -> None:
    [problem] = a_comparison(instrumented=a_run(Outcome.PASSED, starts=0)).problems
    assert "poolscope did not start" in problem


def test_equal_hook_errors_are_shown_once_with_their_number() -> None:
    run = a_run(Outcome.PASSED, starts=1, hook_errors=("ValueError: x", "ValueError: x"))
    comparison = a_comparison(instrumented=run)
    assert list(detail_lines(comparison)) == ["starlette: 2 hook errors contained:\nValueError: x"]

"""The text that `make peers` prints."""

from collections import Counter
from collections.abc import Iterator, Sequence

from poolscope_peers.suite_comparison import Comparison

HEADER = (
    "suite",
    "tests",
    "bare p/f/s",
    "instr. p/f/s",
    "differ",
    "ours",
    "hook errors",
    "pushes",
    "seconds",
)


def report_lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield the table of the suites, and the problems of all of them."""
    yield from _table([HEADER, *(each.row for each in comparisons)])
    problems = [problem for each in comparisons for problem in each.problems]
    yield f"{len(problems)} problems:" if problems else "No test fails only with poolscope."
    yield from problems


def detail_lines(comparison: Comparison) -> Iterator[str]:
    """Yield each difference of a suite, and each hook error once with its number of times."""
    for finding in comparison.findings:
        yield f"{comparison.suite.name}: {finding.decision.name.lower()}: {finding}"
    for error, times in Counter(comparison.instrumented.hook_errors).items():
        yield f"{comparison.suite.name}: {times} hook errors contained:\n{error}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()

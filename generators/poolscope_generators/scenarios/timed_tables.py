"""Write the tables of docs/scenarios.md that show what is said over time."""

from collections.abc import Iterable

from poolscope_generators.scenarios.timed import Case, CaseOutcome, Hold, HoldOutcome, Timed

HOLDS = """\
## Full pools, by cause

Each pool is full from the start, and callers wait. Connections that are held for one length of
time, for one cause, keep it full for 36 s. poolscope has its default settings. The table shows
after how many seconds the right diagnosis came, and its share of the polls from the sixth second
on. The tests require 90 %. Before that, the diagnosis was `full` or `unknown`. No other diagnosis
was shown at any poll.
"""

CASES = """\
## Incidents that users reported

Each incident follows a public bug report. It runs with poolscope's default settings. The tests
require:

- The cause is named within 10 s, or within 5 s of the evidence. A checkout of a request counts as
  leaked 2 s after the response. A checkout of a thread counts 30 s after the thread ended or went
  back to its pool. Until then the pool may be `held_idle`.
- From the fifth second on, no other cause is named, and the pool is not `healthy`. C15 is an
  exception: the pool works, but its statements fail.
- In three incidents nothing is wrong. There the pool is `healthy` at every poll.
"""


def row(cells: Iterable[object]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def hold_cells(hold: Hold) -> list[object]:
    """Return the cells of a hold that do not depend on a run."""
    return [hold.cause.replace("_", " "), f"{hold.held_s:g} s", f"`{hold.right}`"]


def case_cells(case: Case) -> list[object]:
    """Return the cells of a case that do not depend on a run."""
    return [case.title, case.so, f"`{case.named_by}`"]


def hold_table(outcomes: Iterable[HoldOutcome]) -> list[str]:
    """Return the table of holds."""
    heads = ["Cause", "Each held for", "Diagnosis", "First after", "Shown from 6 s on"]
    cells = (
        [*hold_cells(each.hold), _seconds(each.first_s), f"{each.share:.0%}"] for each in outcomes
    )
    return _table(heads, cells)


def case_table(outcomes: Iterable[CaseOutcome]) -> list[str]:
    """Return the table of cases, in their order."""
    heads = ["Incident", "What is wrong", "Named by", "After", "Reason shown"]
    ordered = sorted(outcomes, key=lambda outcome: outcome.case.number)
    cells = ([*case_cells(each.case), _seconds(each.first_s), each.sentence] for each in ordered)
    return _table(heads, cells)


def timed_parts(timed: Timed) -> list[str | list[str]]:
    """Return both sections."""
    return [HOLDS, hold_table(timed.holds), "", CASES, case_table(timed.cases), ""]


def _table(heads: list[str], rows: Iterable[Iterable[object]]) -> list[str]:
    return [row(heads), row(["---"] * len(heads)), *map(row, rows)]


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"

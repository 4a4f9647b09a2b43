"""Write docs/incidents.md from the records of the played incidents.

`make incidents` runs it: `python -m poolscope_generators.incidents.document FOLDER`. It fails if
an incident was not played, or if a target was missed.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from poolscope_generators.incidents.outcome import (
    DIAGNOSED_WITHIN_S,
    MOST_CRITICAL,
    ON_THE_WAY_S,
    Outcome,
    judge,
)
from poolscope_generators.incidents.record import read_records
from poolscope_generators.incidents.truth import Truth

DOCUMENT = Path(__file__).parents[3] / "docs" / "incidents.md"
INCIDENTS = 19
LEAST_NAMED = 17
UNASSIGNED = "unassigned.txt"

INTRODUCTION = """\
# Are the right people called, with the cause?

See here how far you can trust an alert. Nineteen incidents run side by side, each on a separate
service, with poolscope's default settings. The processes are real: apps, PostgreSQL servers, a
PgBouncer, four exporters, Prometheus and Alertmanager. Prometheus, the rules and Alertmanager have
the shipped files. Only the addresses are replaced. A webhook receives the messages.

The truth of each incident is written down before it is played, in `tests/incidents/table.py`.
"""

TRUTHS = """\
## The incidents

Everything is well for a minute or longer. Then the incident lasts at least five minutes, and is
cured.
"""

NOT_PLAYED = """\
## The outcomes

No run of the whole set is recorded yet.
"""

OUTCOMES = f"""\
## The outcomes

Seconds count from the beginning of the incident, in the last two columns from its cure.

- *Diagnosis* is the first right one on the page and in the API. *Fired* is the first right alert
  in Prometheus. *First message* is the first one of all that arrived, right or wrong.
- *Due* is the latest time for the right message. It is the rule's `for`, or the time that its
  expression judges, the `group_wait` of its receiver, and {ON_THE_WAY_S:.0f} s on the way. For
  critical alerts that is `for` and 45 s. Where evidence takes time by design, that time is added.
- *Messages* has the critical ones, and then all others. *After* has the same after the cure.
- *Calm* is when the last alert stopped firing. *Resolved* is when that message arrived:
  Alertmanager sends it with the next group, up to five minutes later.
"""

TARGETS = """\
## The targets
"""

TEXTS = """\
## The text of the first right message
"""

NOTES = """\
## Verify

<!-- not run: it takes 32 minutes and writes this page -->
```console
$ make incidents
```

This command plays everything and writes this page. You need the packages `prometheus`,
`prometheus-alertmanager` and `pgbouncer`, and two processors. The target fails if an outcome misses
a target. To play single incidents, name them: `make incidents INCIDENTS="lock-by-psql slow-query"`.

## Troubleshooting

| what you see | what to do |
|---|---|
| `not every incident was played` | play all of them, or the missing ones by name |
| one incident misses its time, others meet it | run again on a machine with nothing else to do |
"""


def row(cells: Iterable[object]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def table(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a table."""
    return [row(heads), row(["---"] * len(heads)), *map(row, rows)]


def truth_cells(truth: Truth) -> list[object]:
    """Return the cells of an incident that do not depend on a run."""
    right = ", ".join(f"`{each}`" for each in truth.diagnosis) or f"none: {truth.undiagnosed}"
    names = ", ".join(f"`{each}`" for each in truth.alerts) or "none"
    severity = f" ({truth.severity})" if truth.severity else ""
    return [truth.title, truth.broken, truth.cure, right, names + severity]


def truth_table(truths: Iterable[Truth]) -> list[str]:
    """Return the table of the truths."""
    heads = ["Incident", "What is wrong", "Cure", "Right diagnosis", "Right alert"]
    return table(heads, map(truth_cells, truths))


def outcome_cells(outcome: Outcome) -> list[object]:
    """Return the cells of one outcome."""
    diagnosed, fired, first, due = outcome.diagnosed, outcome.fired, outcome.first, outcome.due_s
    return [
        outcome.record.truth.title,
        f"`{diagnosed.diagnosis}` {diagnosed.at_s:.0f} s" if diagnosed else "",
        f"`{fired.name}` {fired.first_s:.0f} s" if fired else "",
        f"`{first.name}` ({first.severity}) {first.at_s:.0f} s" if first else "",
        f"{due:.0f} s" if due is not None else "",
        f"{outcome.critical} + {outcome.others}",
        f"{outcome.critical_after} + {outcome.others_after}",
        _seconds(outcome.calm_s),
        _seconds(outcome.resolved_s),
        ", ".join(outcome.misses) or "all met",
    ]


def outcome_table(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the table of the outcomes."""
    heads = [
        "Incident", "Diagnosis", "Fired", "First message", "Due", "Messages", "After", "Calm",
        "Resolved", "Targets missed",
    ]  # fmt: skip
    return table(heads, map(outcome_cells, outcomes))


def target_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return how many incidents meet each target."""
    within = f"the diagnosis within {DIAGNOSED_WITHIN_S:.0f} s"
    targets: list[tuple[str, Callable[[Outcome], bool]]] = [
        (f"the right name first, in at least {LEAST_NAMED}", lambda each: each.is_named_first),
        (within, lambda each: each.is_diagnosed_in_time),
        ("the right message when it is due", lambda each: each.is_sent_in_time),
        (f"at most {MOST_CRITICAL} critical messages", lambda each: each.is_one_page),
        ("no critical message after the cure", lambda each: each.is_quiet_after),
    ]
    rows = (
        (target, f"{sum(map(is_met, outcomes))} of {len(outcomes)}") for target, is_met in targets
    )
    return table(["Target", "Met by"], rows)


def texts(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the first right message of each incident, as it was received."""
    rows = (
        [each.record.truth.title, f"`{each.sent.name}`", each.sent.text.replace("|", "\\|")]
        for each in outcomes
        if each.sent
    )
    return table(["Incident", "Alert", "Text"], rows)


def missed(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the targets of the whole run that were missed, with the incidents."""
    named = sum(each.is_named_first for each in outcomes)
    of_all = [] if named >= LEAST_NAMED else [f"the right name came first in only {named}"]
    return of_all + [
        f"{each.record.truth.name}: {miss}"
        for each in outcomes
        for miss in each.misses
        if miss != "right name first"
    ]


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"


def page(truths: Iterable[Truth], outcomes: Sequence[Outcome]) -> str:
    """Return the page; without outcomes, it has only the truths."""
    measured: list[str | list[str]] = [
        OUTCOMES, outcome_table(outcomes), "", TARGETS, target_table(outcomes), "", TEXTS,
        texts(outcomes), "",
    ]  # fmt: skip
    parts = [
        INTRODUCTION,
        TRUTHS,
        truth_table(truths),
        "",
        *(measured if outcomes else [NOT_PLAYED]),
        NOTES,
    ]
    return "\n".join("\n".join(part) if isinstance(part, list) else part for part in parts)


def main() -> None:
    """Write the page; exit with what was not played, or with the targets that were missed."""
    folder = Path(sys.argv[1])
    outcomes = sorted(map(judge, read_records(folder)), key=lambda each: each.record.truth.name)
    if len(outcomes) < INCIDENTS:
        sys.exit(f"not every incident was played: {len(outcomes)} of {INCIDENTS}")
    DOCUMENT.write_text(page((each.record.truth for each in outcomes), outcomes))
    unassigned = folder / UNASSIGNED
    strays = unassigned.read_text().split("\n") if unassigned.exists() else []
    if misses := [*missed(outcomes), *filter(None, strays)]:
        sys.exit("\n".join(misses))


if __name__ == "__main__":
    main()

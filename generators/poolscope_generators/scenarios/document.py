"""Write docs/scenarios.md from what the suite declares and what its runs found.

`make scenarios` runs it: `python -m poolscope_generators.scenarios.document FOLDER`, with a folder
of results.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.linking.link import LinkLevel, Unlinked
from poolscope_generators.scenarios.results import Outcome, Run, read_runs
from poolscope_generators.scenarios.scenario import (
    WATCHES,
    Declared,
    Phase,
    Runs,
    Scenario,
    Truth,
    Watcher,
    unlinked,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "scenarios.md"

PLACES = {
    "PostgreSQL 15": Runs.DIRECT,
    "PostgreSQL 16": Runs.DIRECT,
    "PostgreSQL 18": Runs.DIRECT,
    "PgBouncer before PostgreSQL 18": Runs.POOLED,
}
"""Where the scenarios are played."""

PHASES = {
    Phase.RUNNING: "",
    Phase.DOWN: ", while the server (or PgBouncer) is down",
    Phase.RESTARTED: ", after the server's restart",
}

INTRODUCTION = f"""\
# What is said, and what is so

An app with `poolscope.instrument()`, exporters (`poolscope-exporter run`) and a real server, each a
process of its own. Every route of the app does one thing to a connection and never undoes it, so
that what is really the case is known; what `/api/v1/checkouts` and `/api/v1/pools` say of it is
read several times per second. Played on:

{chr(10).join(f"- {place}" for place in PLACES)}
"""

CONFUSION = """\
## The confusion table

Rows: what really is the case. Columns: the verdict in the end, confirmed by a later push. Cells: in
how many scenarios, over all servers. First as said by an exporter that watches the server:
"""

BLIND = """\
The same as said by an exporter that cannot see the server's side: it has no server, may not see
other roles' sessions, cannot tell which of two servers it is; or the server, or the PgBouncer, is
down or was restarted:
"""

WAY = """\
## What was said on the way

The same rows, and in how many scenarios a verdict was shown at any of the moments looked at, from
the first time that the checkout was listed. The tests assert at each of them:

- **no leak is called healthy**: never `working`, and its pool never `healthy`;
- **no slow query is called a leak**: never `leaked`, and its pool never `leaking`.
"""

EVERY = """\
## The scenarios

Each pool has one connection unless the scenario says otherwise, so it is full.
"""

SHOWN = """\
## Where each link, reason and diagnosis is shown
"""

NOTES = """\
Where a row may surprise:

- Leaks of tasks and threads without a request are `leaked` after 30 s, those of requests after 2 s.
  Until then their sessions are judged like any other: `held_idle`, `idle_in_transaction`.
- The app lists what is held for 1.25 s (`POOLSCOPE_HELD_AFTER_S`; the default is 1 s). With the
  default, what was idle for 0.99 s when it was first looked at is `working` until the next look.
- A leak by a worker thread that is busy with the next request is called one when that ends.
- A session that is gone is `lost` only where a connection of its pool was linked before: otherwise
  the pid may be another server's, and the verdict is `unknown`.
- A session that has just gone is shown as it was until its server was asked again, and an app's
  push confirms the answer; `unknown` while the server is down.
- asyncpg's own pool takes a connection back when its socket closes: a lost one is no longer held.

## Verify

<!-- not run: make test and make test-system play the same; this writes the page -->
```console
$ make scenarios
```

plays everything and writes this page (about three minutes; it needs PostgreSQL 15 and PgBouncer
from the system's packages, and root, to have a pid given out again). `make test` plays 16 and 18,
and fails when the page differs from what the tests declare; `make test-system` plays the others.
"""


def row(cells: Iterable[object]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def grid(counts: Counter[tuple[Truth, str]]) -> list[str]:
    """Return a table of truths and verdicts; a cell that is zero is empty."""
    truths = [truth for truth in Truth if any(key[0] is truth for key in counts)]
    verdicts = [each for each in Verdict if any(key[1] == each for key in counts)]
    rows: list[Sequence[object]] = [
        ["What is so", *(f"`{each}`" for each in verdicts)],
        ["---"] * (len(verdicts) + 1),
    ]
    rows += [[truth, *(counts[truth, each] or "" for each in verdicts)] for truth in truths]
    return [row(cells) for cells in rows]


def times(scenario: Scenario) -> int:
    """Return on how many servers a scenario is played."""
    return sum(runs is scenario.runs for runs in PLACES.values())


def confusion(declared: Declared, is_of_it: Callable[[Scenario], bool]) -> list[str]:
    """Return the confusion table of some scenarios: what the tests assert of each."""
    counts: Counter[tuple[Truth, str]] = Counter()
    for each in declared.scenarios:
        if is_of_it(each) and each.expected.verdict:
            counts[each.truth, each.expected.verdict] += times(each)
    return grid(counts)


def sees(scenario: Scenario) -> bool:
    """Decide whether the exporter of a scenario sees the server's side."""
    return scenario.watcher is Watcher.FULL and scenario.phase is Phase.RUNNING


def is_blind(scenario: Scenario) -> bool:
    """Decide whether it does not."""
    return not sees(scenario)


def every(declared: Declared) -> list[str]:
    """Return the table of all scenarios."""
    heads = ["Scenario", "What is so", "The exporter", "Verdict", "Link", "Pool", "Played on"]
    lines = [row(heads), row(["---"] * len(heads))]
    for each in declared.scenarios:
        told = (each.expected.verdict, each.expected.link, each.expected.diagnosis)
        where = ", ".join(place for place, runs in PLACES.items() if runs is each.runs)
        title = each.title + PHASES[each.phase]
        said = [f"`{one}`" if one else "" for one in told]
        lines.append(row([title, each.truth, WATCHES[each.watcher], *said, where]))
    return lines


def shown(declared: Declared) -> list[str]:
    """Return where each link level, reason and diagnosis is shown."""
    lines = [row(["What", "Shown by"]), row(["---"] * 2)]
    links = [*LinkLevel, *(unlinked(reason) for reason in Unlinked)]
    for what, is_shown in (
        *((link, _links_to(link)) for link in links),
        *((each, _diagnoses(each)) for each in Diagnosis),
    ):
        titles = dict.fromkeys(each.title for each in declared.scenarios if is_shown(each))
        why = declared.on_the_way.get(str(what), "")
        lines.append(row([f"`{what}`", "; ".join(titles) or why]))
    return lines


def _links_to(link: str) -> Callable[[Scenario], bool]:
    return lambda each: link == each.expected.link or link in each.expected.on_the_way


def _diagnoses(diagnosis: Diagnosis) -> Callable[[Scenario], bool]:
    return lambda each: each.expected.diagnosis is diagnosis


def declared_lines(declared: Declared) -> list[str]:
    """Return every line of a table that follows from what the tests declare."""
    seen = confusion(declared, sees)
    return [*seen, *confusion(declared, is_blind), *every(declared), *shown(declared)]


def way(declared: Declared, runs: list[Run]) -> list[str]:
    """Return the table of everything that was said until the end."""
    truths = {each.name: each.truth for each in declared.scenarios}
    counts: Counter[tuple[Truth, str]] = Counter()
    for outcome in outcomes(runs):
        counts.update((truths[outcome.scenario], verdict) for verdict in outcome.verdicts)
    return grid(counts)


def outcomes(runs: list[Run]) -> list[Outcome]:
    """Return the outcomes of all runs."""
    return [outcome for run in runs for outcome in run.outcomes]


def missing(declared: Declared, runs: list[Run]) -> list[str]:
    """Return what was to be played, or seen on the way, and was not."""
    seen = {each for one in outcomes(runs) for each in (*one.verdicts, *one.links)}
    found = {run.where: {each.scenario for each in run.outcomes} for run in runs}
    return [each for each in declared.on_the_way if each not in seen] + [
        f"{place}: {each.name}"
        for place, kind in PLACES.items()
        for each in declared.scenarios
        if each.runs is kind and each.name not in found.get(place, set())
    ]


def main() -> None:
    """Write the document; exit with what was not played."""
    declared, runs = read_runs(Path(sys.argv[1]))
    if not runs:
        sys.exit("nothing was played, so there is no table")
    if unplayed := missing(declared, runs):
        sys.exit(f"not everything was played, so there is no table: {unplayed}")
    parts: list[str | list[str]] = [
        INTRODUCTION, CONFUSION, confusion(declared, sees), "", BLIND,
        confusion(declared, is_blind), "", WAY, way(declared, runs), "", EVERY, every(declared),
        "", SHOWN, shown(declared), "", NOTES,
    ]  # fmt: skip
    DOCUMENT.write_text("\n".join("\n".join(p) if isinstance(p, list) else p for p in parts))


if __name__ == "__main__":
    main()

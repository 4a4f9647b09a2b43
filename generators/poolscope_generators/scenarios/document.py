"""Write docs/scenarios.md from what the suite declares and what its runs found.

`make scenarios` runs it: `python -m poolscope_generators.scenarios.document FOLDER TIMED`, with two
folders of results.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
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
from poolscope_generators.scenarios.timed import read_timed
from poolscope_generators.scenarios.timed_tables import row, timed_parts

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
# Are verdicts and diagnoses right?

See here how far you can trust a verdict or a diagnosis. Each row comes from a test with real
processes: an app with `poolscope.instrument()`, exporters (`poolscope-exporter run`), and a server.
Every route of the app does one thing to a connection and never undoes it. So the real state is
known. The tests read `/api/v1/checkouts` and `/api/v1/pools` several times per second. They run on:

{chr(10).join(f"- {place}" for place in PLACES)}
"""

CONFUSION = """\
## The confusion table

A row is the real state, a column the last verdict, confirmed by a later push. A cell has the number
of scenarios, over all servers. The first table is for an exporter that polls the server:
"""

BLIND = """\
The second table is for an exporter that cannot see the server's side. It has no server, may not see
other roles' sessions, or cannot distinguish two servers. Or the server or the PgBouncer is down, or
was restarted:
"""

WAY = """\
## Verdicts before the last one

The rows are the same. A cell has the number of scenarios in which the API showed the verdict at any
poll, after the checkout was first listed. The tests assert at each poll:

- **No leak is reported as healthy**: never `working`, and its pool never `healthy`.
- **No slow query is reported as a leak**: never `leaked`, and its pool never `leaking`.
"""

EVERY = """\
## The scenarios

Each pool has one connection unless the scenario's name shows otherwise, so it is full.
"""

SHOWN = """\
## Scenarios for each link, reason and diagnosis
"""

EXAMPLES = 3
"""How many scenarios are named for one value."""

NOTES = """\
Rows that may surprise you:

- The leak of a request is `leaked` after 2 s, the leak of a task or thread without a request after
  30 s. Until then the session is judged like any other: `held_idle`, `idle_in_transaction`.
- In these tests the app lists connections that are held for 1.25 s (`POOLSCOPE_HELD_AFTER_S`; the
  default is 1 s). With the default, if a session was idle for 0.99 s at its first poll, it is
  `working` until the next poll.
- If a worker thread leaks a connection and is busy with the next request, the leak is reported when
  that request ends.
- If a session is gone, its checkout is `lost` only if a connection of its pool was linked before.
  Otherwise the PID may be that of another server, and the verdict is `unknown`.
- If a session has just gone, you see its old state until the server was asked again and the app's
  next push confirms the answer. While the server is down, the verdict is `unknown`.
- asyncpg's own pool takes a connection back when its socket closes: a lost one is no longer held.

## Verify

<!-- not run: make test and make test-system play the same; this writes the page -->
```console
$ make scenarios
```

This command runs everything and writes this page. It takes about ten minutes. You need PostgreSQL
15 and PgBouncer from the system's packages, and root, so that a PID can be used again. You run 16
and 18, three lengths of holds, and the incidents with `make test`. It fails if the page differs
from the declarations in the tests. The others run with `make test-system`.
"""


def grid(counts: Counter[tuple[Truth, str]]) -> list[str]:
    """Return a table of truths and verdicts; a cell that is zero is empty."""
    truths = [truth for truth in Truth if any(key[0] is truth for key in counts)]
    verdicts = [each for each in Verdict if any(key[1] == each for key in counts)]
    rows: list[Sequence[object]] = [
        ["Real state", *(f"`{each}`" for each in verdicts)],
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
    heads = ["Scenario", "Real state", "The exporter", "Verdict", "Link", "Pool", "Played on"]
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
    lines = [row(["Value", "Scenarios"]), row(["---"] * 2)]
    links = [*LinkLevel, *(unlinked(reason) for reason in Unlinked)]
    for what, is_shown in (
        *((link, _links_to(link)) for link in links),
        *((each, _diagnoses(each)) for each in Diagnosis),
    ):
        titles = dict.fromkeys(each.title for each in declared.scenarios if is_shown(each))
        why = {**declared.on_the_way, **declared.by_incidents}.get(str(what), "")
        lines.append(row([f"`{what}`", _examples(list(titles)) or why]))
    return lines


def _examples(titles: Sequence[str]) -> str:
    more = len(titles) - EXAMPLES
    named = "; ".join(titles[:EXAMPLES])
    return f"{named}; and {more} more" if more > 0 else named


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
    timed = read_timed(Path(sys.argv[2]))
    if not (timed.holds and timed.cases):
        sys.exit("nothing was played over time, so there is no table")
    if unplayed := missing(declared, runs):
        sys.exit(f"not everything was played, so there is no table: {unplayed}")
    parts: list[str | list[str]] = [
        INTRODUCTION, CONFUSION, confusion(declared, sees), "", BLIND,
        confusion(declared, is_blind), "", WAY, way(declared, runs), "", *timed_parts(timed),
        EVERY, every(declared), "", SHOWN, shown(declared), "", NOTES,
    ]  # fmt: skip
    DOCUMENT.write_text("\n".join("\n".join(p) if isinstance(p, list) else p for p in parts))


if __name__ == "__main__":
    main()

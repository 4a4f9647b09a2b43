"""Write docs/adoption.md from the records of the applications.

`make adopt` runs it: `python -m poolscope_generators.adoption.document FOLDER`. Rows that are not
right stay on the page; with `--check`, they also make it fail, and it writes nothing.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from poolscope_generators.adoption.outcome import Outcome, calm_faults, judge
from poolscope_generators.adoption.record import AppRecord, Phase, PhaseRecord, read_records
from poolscope_generators.incidents.document import table

DOCUMENT = Path(__file__).parents[3] / "docs" / "adoption.md"

INTRODUCTION = """\
# poolscope in real applications

See here how poolscope does in applications that others wrote, or that are built as others build
them. `make adopt` installs each one in its own environment and starts it bare, and then with one
line. It compares the answers. Then it watches calm traffic, a leak, a lock, exhaustion and a
restart of PostgreSQL. Each application has a separate server. One exporter with its default
settings watches the applications of a run, side by side. With `APPS`, a run plays some of them and
keeps the records of the others. A row that is not right stays on this page.
"""

APPS = """\
## The applications

*Equal answers* compares the same calls to the bare and to the instrumented application. It compares
status and body, or only the status if bodies have times and ids. Each application has a time-out
for connecting, and tests its connections before use. The FastAPI template lacks both, and checks C5
and C14 warn of that. MLflow's server has six pools in several processes. By SQLAlchemy's default,
they may open 90 of the server's 100 connections. Check C7 warns of that, so the pools are smaller
here. Two of MLflow's processes end without a last push: psycopg2 leaves no room for a handler of
SIGTERM, and a helper leaves by `os._exit` ([why](workers.md#the-last-push-of-a-process)). The
exporter drops them when three pushes are missing. So MLflow pushes every two seconds here.
"""

COUNTS = """\
## Counts

The truth is the application's own count of its checkouts: a byte in a file for each, or
SQLAlchemy's event. It is read before and after the exporter's total, because some applications
never rest. The total covers all processes, also the ended ones.
"""

CALM = """\
## In calm traffic

Nothing is wrong here, so any finding, alert or log line is a fault, and so is any diagnosis that
names a cause. A pool may be `unknown` while it has no data yet. `full` and `connecting` name no
cause: a caller waited for 0.5 s or more, which happens on a busy machine. *Listed after the end* is
the number of processes that the exporter still lists 7 s after all of them were stopped.
"""

INCIDENTS = """\
## In trouble

Each time counts from the beginning of the incident.

- **leak**: two calls keep their connection. Right is `leaking`, and the alert `PoolLeak`.
- **lock**: another session locks a table, as a migration does. Right is `blocked`, and
  `PoolBlocked`.
- **exhaustion**: queries of 1.5 s come faster than the pool can serve them. Right is `undersized`
  or `slow_queries`, and an alert on a full pool. `PoolSlowQueries` as critical pages in its place,
  when the cause is established. In the FastAPI template, `threads_exhausted` is right too. Its
  requests wait for a worker thread while they hold a connection, and the other threads wait for the
  pool. It does not recover by itself, so its processes are replaced after an incident. Their last
  requests may end first, because nobody can count what a killed process did after its last push.
- **restart**: PostgreSQL is stopped and started again. Right is `connect_failing`, and
  `DatabaseDown`.

An alert that still fires from the incident before does not count again.
"""

WITHOUT_ALERTS = """\
This was a short run without Prometheus, so it shows no alerts.
"""

NOT_PLAYED = """\
## The applications

No run is recorded yet.
"""

NOTES = """\
## Verify

<!-- not run: it installs seven applications and takes up to 40 minutes -->
```console
$ make adopt
$ make adopt APPS="django litestar"
$ make adopt-short
```

The first command plays everything and writes this page. You need the packages `prometheus`,
`redis-server` and `postgresql-15`. Redis carries Celery's tasks, and Prefect needs an extension of
PostgreSQL that the embedded server does not have. The second one plays the named applications. The
third one plays Django, Celery and Litestar in five minutes, without Prometheus. It writes nothing,
and fails if a row is not right.

## Troubleshooting

| what you see | what to do |
|---|---|
| an application did not start | read the log in the message; a busy machine needs more time |
| a word comes late, and only on your machine | run again on a machine with nothing else to do |
| a row of this page is not right | report it, with the record in `.venv/adoption/records` |
"""


NOT_CALM = Outcome(PhaseRecord(Phase.CALM), None, None, ())
"""The outcome of a story that broke off before."""


def app_rows(records: Iterable[AppRecord]) -> Iterable[list[object]]:
    """Return a row of each application, and how it was adopted."""
    for each in records:
        calls = each.equal_answers + len(each.unequal_answers)
        yield [each.title, each.pool, each.adopted_by, f"{each.equal_answers} of {calls}"]


def count_rows(records: Iterable[AppRecord]) -> Iterable[list[object]]:
    """Return a row for each count of each application."""
    for each in records:
        for phase in each.phases:
            if phase.count is not None:
                count = phase.count
                truth = f"{count.truth_before} to {count.truth_after}"
                if count.truth_before == count.truth_after:
                    truth = str(count.truth_before)
                yield [each.title, phase.phase, truth, count.counted, _is_right(count.is_right)]


def calm_rows(records: Iterable[AppRecord]) -> Iterable[list[object]]:
    """Return a row of each application in calm traffic."""
    for each in records:
        outcome = _outcomes(each).get(Phase.CALM, NOT_CALM)
        faults = [*outcome.faults, *calm_faults(each)]
        listed = "" if each.still_listed is None else each.still_listed
        yield [
            each.title, f"{outcome.record.lasted_s / 60:.1f} min",
            ", ".join(f"`{shown.name}`" for shown in outcome.record.shown), each.rows_on_page,
            listed, _faults(faults),
        ]  # fmt: skip


def incident_rows(records: Iterable[AppRecord]) -> Iterable[list[object]]:
    """Return a row for each incident of each application."""
    for each in records:
        for phase, outcome in _outcomes(each).items():
            if phase is not Phase.CALM:
                yield [each.title, phase, *_incident_cells(outcome)]


def faults_of(record: AppRecord) -> list[str]:
    """Return everything that is not right about an application."""
    of_phases = [
        f"{phase}: {fault}"
        for phase, outcome in _outcomes(record).items()
        for fault in outcome.faults
    ]
    return [f"{record.name}: {fault}" for fault in (*of_phases, *calm_faults(record))]


def page(records: Mapping[str, AppRecord]) -> str:
    """Return the page."""
    if not records:
        return "\n".join([INTRODUCTION, NOT_PLAYED, NOTES])
    every = list(records.values())
    parts: list[str | list[str]] = [
        INTRODUCTION, APPS,
        table(["Application", "Pool", "How it was added", "Equal answers"], app_rows(every)), "",
        table(["Application", "Versions"], [[each.title, each.versions] for each in every]), "",
        COUNTS,
        table(["Application", "After", "Truth", "Counted", "Right"], count_rows(every)), "",
        CALM,
        table(["Application", "Lasted", "Diagnoses", "Rows", "Listed after the end", "Right"],
              calm_rows(every)), "",
        INCIDENTS,
        *([] if all(each.has_alerts for each in every) else [WITHOUT_ALERTS]),
        table(["Application", "Incident", "First right word", "First right alert", "Right"],
              incident_rows(every)), "",
        NOTES,
    ]  # fmt: skip
    return "\n".join("\n".join(part) if isinstance(part, list) else part for part in parts)


def _outcomes(record: AppRecord) -> dict[Phase, Outcome]:
    return {
        each.phase: judge(each, has_alerts=record.has_alerts)
        for each in record.phases
        if not each.missing
    } | {each.phase: Outcome(each, None, None, ()) for each in record.phases if each.missing}


def _incident_cells(outcome: Outcome) -> list[object]:
    if outcome.record.missing:
        return ["", "", f"not played: {outcome.record.missing}"]
    word, alert = outcome.word, outcome.alert
    return [
        f"`{word.name}` {word.at_s:.0f} s" if word else "",
        f"{alert.name} {alert.at_s:.0f} s" if alert else "",
        _faults(outcome.faults),
    ]


def _faults(faults: Iterable[str]) -> str:
    return "; ".join(each.replace("|", "\\|") for each in faults) or "yes"


def _is_right(is_right: bool) -> str:
    return "yes" if is_right else "**no**"


def main() -> None:
    """Write the page, or check the records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path, help="folder of the records")
    parser.add_argument("--check", action="store_true", help="fail if a row is not right")
    given = parser.parse_args()
    records = read_records(given.records)
    if not given.check:
        DOCUMENT.write_text(page(records))
        return
    faults = [fault for record in records.values() for fault in faults_of(record)]
    sys.exit("\n".join(faults) if faults else 0)


if __name__ == "__main__":
    main()

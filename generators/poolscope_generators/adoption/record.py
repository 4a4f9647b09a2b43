"""The record of one application that adopted poolscope: words, alerts, counts and answers."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Phase(StrEnum):
    """The parts of a run, in their order."""

    CALM = "calm"
    LEAK = "leak"
    LOCK = "lock"
    EXHAUSTION = "exhaustion"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Shown:
    """A diagnosis or alert that was shown, `at_s` after the phase began."""

    name: str
    at_s: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """The checkouts that poolscope counted, between two readings of the application's count."""

    counted: int
    truth_before: int
    truth_after: int

    @property
    def is_right(self) -> bool:
        """Return whether the count agrees with the application's."""
        return self.truth_before <= self.counted <= self.truth_after


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """One phase; `missing` is the reason if it was not played.

    The diagnoses in `also` are right too, in this application.
    """

    phase: Phase
    lasted_s: float = 0.0
    shown: tuple[Shown, ...] = ()
    fired: tuple[Shown, ...] = ()
    count: Count | None = None
    missing: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppRecord:
    """One application.

    `findings` are the configuration checks that warned in the calm phase, `log_lines` the lines of
    poolscope in the application's log then. `still_listed` is the number of its processes that the
    exporter listed seven seconds after all of them had ended; None if that was not tried. The error
    that ended the story too early is `broke_off`: the record then has only the phases before it.
    """

    name: str
    title: str
    pool: str
    adopted_by: str
    versions: str
    equal_answers: int
    unequal_answers: tuple[str, ...]
    phases: tuple[PhaseRecord, ...]
    findings: tuple[str, ...]
    log_lines: tuple[str, ...]
    rows_on_page: int
    still_listed: int | None
    has_alerts: bool
    broke_off: str = ""


def write_record(record: AppRecord, folder: Path) -> None:
    """Write the record into a folder of results, over that of an earlier run."""
    (folder / f"{record.name}.json").write_text(json.dumps(asdict(record), indent=1))


def read_records(folder: Path) -> dict[str, AppRecord]:
    """Return the records of a folder, by the name of the application."""
    records = [_record(json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    return {record.name: record for record in records}


def _record(read: dict[str, Any]) -> AppRecord:
    lists = ("unequal_answers", "findings", "log_lines")
    phases = tuple(map(_phase, read["phases"]))
    return AppRecord(**read | {key: tuple(read[key]) for key in lists} | {"phases": phases})


def _phase(read: dict[str, Any]) -> PhaseRecord:
    shown, fired = (tuple(Shown(**each) for each in read[key]) for key in ("shown", "fired"))
    count = Count(**read["count"]) if read["count"] else None
    parts = {
        "phase": Phase(read["phase"]),
        "shown": shown,
        "fired": fired,
        "count": count,
        "also": tuple(read["also"]),
    }
    return PhaseRecord(**read | parts)

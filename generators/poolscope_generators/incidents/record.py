"""The record of one played incident: what was shown, what fired and what was sent, and when.

Every `at_s` is in seconds since the incident began; it is negative before.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from poolscope_generators.incidents.truth import Truth, truth_from

PAGER = "pager"
FIRING = "firing"
RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Shown:
    """A diagnosis that an exporter began to show; `of` is a process, a server or a PgBouncer."""

    at_s: float
    of: str
    diagnosis: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired in Prometheus, from the first to the last look at it."""

    name: str
    severity: str
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Sent:
    """One alert of one notification; alerts of one notification have the same `at_s`."""

    at_s: float
    receiver: str
    status: str
    name: str
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class Delays:
    """The delays that the shipped files prescribe, in seconds.

    `for_s` is keyed by `name/severity`, `group_wait_s` by receiver.
    """

    for_s: dict[str, float]
    group_wait_s: dict[str, float]


@dataclass(frozen=True, slots=True)
class Record:
    """One played incident. It was cured after `lasted_s`, and watched until `until_s`."""

    truth: Truth
    lasted_s: float
    until_s: float
    shown: tuple[Shown, ...]
    fired: tuple[Fired, ...]
    sent: tuple[Sent, ...]
    delays: Delays


def write_record(record: Record, folder: Path) -> None:
    """Write the record into a folder of results, over that of an earlier run."""
    (folder / f"{record.truth.name}.json").write_text(json.dumps(asdict(record), indent=1))


def read_records(folder: Path) -> list[Record]:
    """Return the records of a folder."""
    return [_record(json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]


def _record(read: dict[str, Any]) -> Record:
    return Record(
        truth=truth_from(read["truth"]),
        lasted_s=read["lasted_s"],
        until_s=read["until_s"],
        shown=tuple(Shown(**each) for each in read["shown"]),
        fired=tuple(Fired(**each) for each in read["fired"]),
        sent=tuple(Sent(**each) for each in read["sent"]),
        delays=Delays(**read["delays"]),
    )

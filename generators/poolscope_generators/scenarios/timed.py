"""What is said over time: of pools kept full by holds, and of the cases that users reported."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from poolscope_exporter.core.judging.diagnosis import Diagnosis


@dataclass(frozen=True, slots=True)
class Hold:
    """One way to keep a pool full, by holds of so many seconds, and the diagnosis that is right."""

    cause: str
    held_s: float
    right: Diagnosis

    @property
    def name(self) -> str:
        """Return the name of its pool."""
        return f"{self.cause}-{self.held_s:g}"


@dataclass(frozen=True, slots=True)
class HoldOutcome:
    """When the right word was first said, and in which part of the looks from 6 s on.

    `wrong` are the diagnoses that accuse something else, or nothing where there was trouble. The
    seconds at which they were said are in `said`, with their reasons.
    """

    hold: Hold
    first_s: float | None
    share: float
    wrong: list[Diagnosis]
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """An incident that users reported, written anew; `named_by` is the word that names its cause.

    `named_by` is a diagnosis, or the id of a configuration check. `so` says what is the matter.
    `says` is a part of the reason without which the cause is not named.
    `evidence_after_s` is when, by design, there is evidence at the earliest; until then the
    diagnosis `meanwhile` is right too.
    """

    number: str
    name: str
    so: str
    named_by: str
    evidence_after_s: float = 0.0
    says: str = ""
    meanwhile: Diagnosis | None = None

    @property
    def title(self) -> str:
        """Return the name as a reader wants it."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """When the cause was first named, what was said before and after, and what was wrong of it."""

    case: Case
    first_s: float | None
    before: list[str]
    wrong: list[str]
    sentence: str


@dataclass(frozen=True, slots=True)
class Timed:
    """The outcomes of timed runs."""

    holds: tuple[HoldOutcome, ...] = ()
    cases: tuple[CaseOutcome, ...] = ()


def write_timed(timed: Timed, folder: Path, name: str) -> None:
    """Write the outcomes of one run into a folder of results."""
    (folder / f"{name}.json").write_text(json.dumps(asdict(timed)))


def read_timed(folder: Path) -> Timed:
    """Return the outcomes of all runs of a folder."""
    told = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return Timed(
        tuple(_hold_outcome(each) for run in told for each in run["holds"]),
        tuple(_case_outcome(each) for run in told for each in run["cases"]),
    )


def _hold_outcome(told: dict[str, Any]) -> HoldOutcome:
    hold = Hold(told["hold"]["cause"], told["hold"]["held_s"], Diagnosis(told["hold"]["right"]))
    return HoldOutcome(hold, told["first_s"], told["share"], list(map(Diagnosis, told["wrong"])))


def _case_outcome(told: dict[str, Any]) -> CaseOutcome:
    return CaseOutcome(**{**told, "case": Case(**told["case"])})

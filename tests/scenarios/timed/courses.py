"""Look at the diagnoses of an exporter several times per second, and keep what was said when."""

import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from poolscope_exporter.core.checks.model import Result
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from support.exporter.exporter_process import ExporterProcess
from support.processes.lookout import Lookout

SETTLED_S = 5.0
"""What is said in the first seconds of a trouble may be what was so before it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was said of a pool at one moment; `at_s` by `time.monotonic`."""

    at_s: float
    diagnosis: Diagnosis
    is_probable: bool
    reasons: tuple[str, ...]
    warned_of: frozenset[str] = frozenset()
    """Ids of the configuration checks that warn."""

    def reason_with(self, part: str) -> str:
        """Return the first reason that has this part, or nothing."""
        return next((reason for reason in self.reasons if part in reason), "")


@dataclass(slots=True)
class Course:
    """Everything that was said of the pools of one name, in the order of the looks."""

    looks: list[Look] = field(default_factory=list)

    def first(self, right: Collection[Diagnosis], since_s: float, says: str = "") -> float | None:
        """Return after how many seconds one of these was first said, None for never.

        Only looks with `says` in one of their reasons count.
        """
        looks = (look for look in self.between(since_s) if look.diagnosis in right)
        return next(
            (look.at_s - since_s for look in looks if not says or look.reason_with(says)), None
        )

    def first_warning(self, check_id: str, since_s: float) -> float | None:
        """Return after how many seconds a configuration check first warned, None for never."""
        said = (look.at_s - since_s for look in self.between(since_s) if check_id in look.warned_of)
        return next(said, None)

    def share(self, right: Collection[Diagnosis], since_s: float, until_s: float) -> float:
        """Return in which part of the looks one of these was said."""
        looks = self.between(since_s, until_s)
        return sum(look.diagnosis in right for look in looks) / max(1, len(looks))

    def others(self, allowed: Collection[Diagnosis], since_s: float, until_s: float) -> list[Look]:
        """Return the looks at which anything else was said."""
        looks = self.between(since_s, until_s)
        return [look for look in looks if look.diagnosis not in allowed]

    def between(self, since_s: float, until_s: float = float("inf")) -> list[Look]:
        """Return the looks of a while."""
        return [look for look in self.looks if since_s <= look.at_s <= until_s]


class Courses(Lookout):
    """What was said of each pool, and of all held checkouts, since the context was entered."""

    def __init__(self, exporter: ExporterProcess) -> None:
        super().__init__()
        self._exporter = exporter
        self._courses: dict[str, Course] = {}
        self._verdicts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def of(self, pool: str) -> Course:
        """Return what was said so far of the pools of this name, in whichever process."""
        assert not self.errors, self.errors
        with self._lock:
            return Course(list(self._courses.get(pool, Course()).looks))

    def pools(self) -> list[str]:
        """Return the names of all pools that were seen."""
        with self._lock:
            return sorted(self._courses)

    def verdicts(self) -> Counter[str]:
        """Return how often each verdict was seen, of all looks at all held checkouts."""
        found: Counter[str] = Counter()
        with self._lock:
            for (_, verdict), looks in self._verdicts.items():
                found[verdict] += looks
        return found

    def pools_with(self, verdict: str) -> set[str]:
        """Return the names of the pools of which a held checkout ever had this verdict."""
        with self._lock:
            return {pool for pool, said in self._verdicts if said == verdict}

    def look(self) -> None:
        """Ask the exporter once."""
        rows = self._exporter.get("/api/v1/pools").json()["pools"]
        held = self._exporter.checkouts()
        now_s = time.monotonic()
        with self._lock:
            self._verdicts.update((row["pool"], row["verdict"]) for row in held)
            for row in rows:
                course = self._courses.setdefault(row["pool"], Course())
                course.looks.append(_look(row, now_s))


def _look(row: dict[str, Any], now_s: float) -> Look:
    checks = row["config_checks"]
    return Look(
        at_s=now_s,
        diagnosis=Diagnosis(row["diagnosis"]),
        is_probable=row["is_probable"],
        reasons=tuple(row["reasons"]),
        warned_of=frozenset(each["check_id"] for each in checks if each["result"] == Result.WARN),
    )

"""The result of the tests of one row, as pytest writes it."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Result:
    """The tests that passed, the names of those that failed, and the reason of each skip."""

    passed: int
    skipped: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Return whether a test passed, and none failed."""
        return self.passed > 0 and not self.failed

    def text(self) -> str:
        """Return the result as one phrase."""
        phrase = f"{self.passed:,} passed"
        if self.failed:
            phrase += f", {len(self.failed)} failed: {', '.join(self.failed[:NAMES_SHOWN])}"
            phrase += ", …" if len(self.failed) > NAMES_SHOWN else ""
        if self.skipped:
            reasons = (f"Reason: {each}." for each in dict.fromkeys(self.skipped))
            phrase += f", {len(self.skipped)} skipped. {' '.join(reasons)}"
        return phrase


def read_result(report: Path) -> Result:
    """Read the result from pytest's report in the form of JUnit."""
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - pytest wrote it
    failed = [
        each for each in cases if any(each.find(kind) is not None for kind in ("failure", "error"))
    ]
    skipped = tuple(
        str(reason.get("message"))
        for each in cases
        if each not in failed and (reason := each.find("skipped")) is not None
    )
    names = tuple(dict.fromkeys(str(each.get("name")) for each in failed))
    return Result(len(cases) - len(failed) - len(skipped), skipped, names)

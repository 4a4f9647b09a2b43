"""Compare two runs of one test suite, test by test."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from poolscope_peers.outcomes import Outcome, Outcomes

RERUNS = 3

_RANK = {Outcome.PASSED: 0, Outcome.SKIPPED: 1, Outcome.MISSING: 2, Outcome.FAILED: 3}


@dataclass(frozen=True, slots=True)
class Difference:
    """One test with different outcomes in the two runs."""

    test: str
    bare: Outcome
    instrumented: Outcome

    @property
    def is_worse(self) -> bool:
        """Return whether poolscope took something away: a test failed, or did not run."""
        return _RANK[self.instrumented] > _RANK[self.bare]

    def __str__(self) -> str:
        return f"{self.test}: {self.bare.value} bare, {self.instrumented.value} instrumented"


class Decision(Enum):
    """The cause of a difference, as far as reruns of the test alone show it."""

    OURS = "differs in every rerun"
    KNOWN = "known"
    UNSTABLE = "a rerun of the test alone agreed"
    BETTER = "fails only without poolscope"


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference with its decision, and a reason if the difference is declared."""

    difference: Difference
    decision: Decision
    reason: str

    def __str__(self) -> str:
        return f"{self.difference} ({self.reason})"


def differences(bare: Outcomes, instrumented: Outcomes) -> list[Difference]:
    """Return each test whose outcome is not the same, in the order of the bare run."""
    missing = Outcome.MISSING
    pairs = [
        Difference(test, bare.get(test, missing), instrumented.get(test, missing))
        for test in dict.fromkeys((*bare, *instrumented))
    ]
    return [each for each in pairs if each.bare is not each.instrumented]


def decide(
    found: Difference, known: Mapping[str, str], rerun: Callable[[str], Difference]
) -> Finding:
    """Return the decision on a difference; run the test again until both outcomes agree."""
    if found.test in known:
        return Finding(found, Decision.KNOWN, known[found.test])
    for attempt in range(1, RERUNS + 1):
        again = rerun(found.test)
        if again.bare is again.instrumented:
            reason = f"alone: {again.bare.value} in both, rerun {attempt}"
            return Finding(found, Decision.UNSTABLE, reason)
    decision = Decision.OURS if found.is_worse else Decision.BETTER
    return Finding(found, decision, f"{decision.value}, {RERUNS} reruns")


def ours(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings for which the comparison fails."""
    return [each for each in findings if each.decision is Decision.OURS]

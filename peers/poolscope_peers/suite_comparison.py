"""Run a suite bare and instrumented, and decide on each difference."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from poolscope_peers.compare import Difference, Finding, decide, differences, ours
from poolscope_peers.outcomes import Outcome, counts
from poolscope_peers.pytest_run import RunRequest, SuiteRun, run_suite
from poolscope_peers.suites import Suite


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both runs of a suite, and the decisions on the differences."""

    suite: Suite
    bare: SuiteRun
    instrumented: SuiteRun
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[str]:
        """Return the reasons for which the comparison fails; none if poolscope changed nothing."""
        problems = [str(each) for each in ours(self.findings)]
        if not any(each is Outcome.PASSED for each in self.bare.outcomes.values()):
            problems.append("no test passed without poolscope: read the log of the bare run")
        if not self.instrumented.starts:
            problems.append("poolscope did not start: the instrumented run proves nothing")
        return [f"{self.suite.name}: {each}" for each in problems]

    @property
    def row(self) -> tuple[str, ...]:
        """Return the cells of the table for this suite."""
        return (
            self.suite.name,
            str(len(self.bare.outcomes)),
            counts(self.bare.outcomes),
            counts(self.instrumented.outcomes),
            str(len(self.findings)),
            str(len(ours(self.findings))),
            str(len(self.instrumented.hook_errors)),
            str(self.instrumented.pushes),
            f"{self.bare.duration_s:.0f}/{self.instrumented.duration_s:.0f}",
        )


def compare_suite(suite: Suite, folder: Path) -> Comparison:
    """Run both, and run each differing test again alone."""
    bare = run_suite(RunRequest(suite, folder, is_instrumented=False))
    instrumented = run_suite(RunRequest(suite, folder, is_instrumented=True))
    found = differences(bare.outcomes, instrumented.outcomes)
    rerun = partial(_rerun, suite, folder)
    findings = tuple(decide(each, suite.known, rerun) for each in found)
    return Comparison(suite, bare, instrumented, findings)


def _rerun(suite: Suite, folder: Path, test: str) -> Difference:
    bare, instrumented = (
        run_suite(RunRequest(suite, folder, is_instrumented, only=test))
        for is_instrumented in (False, True)
    )
    missing = Outcome.MISSING
    return Difference(
        test, bare.outcomes.get(test, missing), instrumented.outcomes.get(test, missing)
    )

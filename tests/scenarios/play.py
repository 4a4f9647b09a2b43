"""Play the scenarios of one run, all at once, and hold what is said against what must be."""

from collections.abc import Iterable, Sequence

from prometheus_client.parser import text_string_to_metric_families

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.linking.link import LinkLevel
from poolscope_generators.scenarios.results import Outcome
from poolscope_generators.scenarios.scenario import Phase, Runs, Scenario, Truth, Watcher
from scenarios.sightings import Sighting, Sightings
from scenarios.stage import App, Stage
from scenarios.table import SCENARIOS
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until

WITHIN_S = 120.0
"""A task's leak takes 30 s to be one; the rest is for a busy machine."""

NEVER: dict[Truth, set[str]] = {
    Truth.LEAKED: {Verdict.WORKING, Diagnosis.HEALTHY},
    Truth.SLOW: {Verdict.LEAKED, Diagnosis.LEAKING},
}
"""What must not be said of a checkout, or of its pool, at any instant."""


class Play:
    """One run: its stage with the app on it, and what is seen."""

    def __init__(self, stage: Stage, sightings: Sightings, runs: Runs, left_out: set[str]) -> None:
        self._stage = stage
        self._sightings = sightings
        self._scenarios = [
            each for each in SCENARIOS if each.runs is runs and each.behaviour not in left_out
        ]
        self.outcomes: list[Outcome] = []

    def of(self, phase: Phase) -> list[Scenario]:
        return [each for each in self._scenarios if each.phase is phase]

    def begin(self, app: App) -> None:
        """Have the app do everything: what is late when the rest is as it will stay.

        A connection is linked by its age only if it opened within seconds. On a busy machine, that
        takes an app longer if it opens all the others at the same time, so these come first.
        """
        running = self.of(Phase.RUNNING)
        early, late = ([s for s in running if s.is_late is is_late] for is_late in (False, True))
        by_age = {s.behaviour for s in early if s.expected.link == LinkLevel.AGE}
        for is_first in (True, False):
            asked = [s for s in early if (s.behaviour in by_age) is is_first]
            ask(app, asked)
            self._wait_for(asked)
        ask(app, late)

    def settle(self, phase: Phase) -> None:
        """Wait until everything is said at one moment that must be said in the end."""
        self._wait_for(self.of(phase))
        self.outcomes += [self._outcome(each) for each in self.of(phase)]

    def check_the_way(self) -> None:
        """Assert that nothing was said in between that must never be said."""
        truths = {each.behaviour: each.truth for each in self.of(Phase.RUNNING)}
        for (watcher, behaviour), seen in self._sightings.all().items():
            said = {*seen.verdicts, *seen.diagnoses}
            wrong = said & NEVER.get(truths.get(behaviour, Truth.GONE), set())
            assert not wrong, (watcher, behaviour, wrong)

    def check_the_first_moments(self) -> None:
        """Assert that what is not confirmed yet was said to be so."""
        seen = [each for key, each in self._sightings.all().items() if key[0] is Watcher.FULL]
        assert any(Verdict.UNCONFIRMED in each.verdicts for each in seen)

    def check_blockers(self) -> None:
        """Assert that each blocked checkout names who holds its lock."""
        for scenario in self.of(Phase.RUNNING):
            if scenario.expected.blocked_by is not None:
                check_blocker(self._sightings.of(scenario), scenario.expected.blocked_by)

    def check_metrics(self) -> None:
        """Assert that the series tell the same verdicts, links and diagnoses."""
        metrics = self._stage.exporters[Watcher.FULL]
        wanted = [each for each in self.of(Phase.RUNNING) if each.watcher is Watcher.FULL]
        assert wait_until(lambda: not _untold(metrics, wanted), WITHIN_S), _untold(metrics, wanted)

    def restart_the_way(self) -> None:
        """Begin anew, because the truth is another one."""
        self._sightings.forget_the_way()

    def _wait_for(self, scenarios: Sequence[Scenario]) -> None:
        is_so = wait_until(lambda: not self._sightings.problems(scenarios), WITHIN_S)
        assert is_so, self._sightings.problems(scenarios)

    def _outcome(self, scenario: Scenario) -> Outcome:
        seen = self._sightings.of(scenario)
        return Outcome(
            scenario.name,
            seen.row.get("verdict"),
            seen.row.get("link"),
            seen.diagnosis,
            sorted(seen.verdicts),
            sorted(seen.links),
        )


def ask(app: App, scenarios: Sequence[Scenario]) -> None:
    """Send the requests of the scenarios, each behaviour's once."""
    for behaviour in dict.fromkeys(each.behaviour for each in scenarios if each.by_route):
        app.behave(behaviour)


def check_blocker(seen: Sighting, behaviour: str) -> None:
    """Hold a blocked checkout's blocker against the behaviour that it is; "" is none of ours."""
    (blocker,) = seen.row["blocked_by"]
    if not behaviour:
        assert (blocker["idle_in"], blocker["last_checkout"]) == (None, None)
        return
    assert blocker["service"] == "scenarios"
    assert (blocker["route"], blocker["code_function"]) == (f"/{behaviour}", behaviour)
    assert blocker["code_file"].endswith("busy.py")
    assert blocker["code_line"] > 0


def _untold(exporter: ExporterProcess, scenarios: Sequence[Scenario]) -> set[tuple[str, str]]:
    """Return which verdicts, links and diagnoses no series tells."""
    expected = [each.expected for each in scenarios]
    wanted = {
        *(("poolscope_held_checkouts", str(each.verdict)) for each in expected if each.verdict),
        *(("poolscope_links", each.link) for each in expected if each.link),
        *(("poolscope_pool_diagnosis", str(e.diagnosis)) for e in expected if e.diagnosis),
    }
    return wanted - set(_told(exporter))


def _told(exporter: ExporterProcess) -> Iterable[tuple[str, str]]:
    for family in text_string_to_metric_families(exporter.get("/metrics").text):
        for sample in family.samples:
            if not sample.value:
                continue
            labels = sample.labels
            if sample.name == "poolscope_links":
                reason = labels["reason"]
                yield sample.name, f"unlinked:{reason}" if reason else labels["level"]
            else:
                yield sample.name, labels.get("verdict") or labels.get("diagnosis", "")

"""PoolConnectFailing pages within a minute of an outage, and not for a restart of the database.

Scrapes come every 15 seconds, and a fault may begin at any of the 15 seconds between two. The rule
is evaluated every second, so that no phase of the evaluation is left out either.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolscope import catalogue as wire
from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.conditions.place import PLACES
from poolscope_alerts.model import Group
from poolscope_alerts.prometheus_rules import groups, rule_file
from poolscope_alerts.promql import KIND, SERVICE_POOL
from support.alert_cases.of_pools import IDLE, of
from support.alert_cases.traffic import Samples, text
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

NAME = "PoolConnectFailing"
SCRAPE_S = 15
EVALUATION_S = 15
PUSH_S = 2
"""From an attempt to the series of the exporter: a process in trouble pushes every second."""

FAULT_AT_S = 150
PAGED_WITHIN_S = 60
RESOLVED_WITHIN_S = 120
"""At scrapes every 15 seconds."""

LASTS_S = 480
REOPENED = 5

PHASES = range(SCRAPE_S)


@dataclass(frozen=True)
class Fault:
    """A fault of the way to the database: how long it lasts, and what is opened each second."""

    lasts_s: int
    phase_s: int = 0
    failures_per_s: float = 2.0
    opened_before_per_s: float = 0.0
    opened_meanwhile_per_s: float = 0.0
    scrape_s: int = SCRAPE_S

    @property
    def ends_at_s(self) -> int:
        return FAULT_AT_S + self.lasts_s

    def failed(self, at_s: int) -> float:
        return self.failures_per_s * min(max(0, at_s - FAULT_AT_S), self.lasts_s)

    def opened(self, at_s: int) -> float:
        before = self.opened_before_per_s * min(at_s, FAULT_AT_S)
        meanwhile = self.opened_meanwhile_per_s * min(max(0, at_s - FAULT_AT_S), self.lasts_s)
        return before + meanwhile + (REOPENED if at_s > self.ends_at_s else 0)

    def series(self) -> dict[str, str]:
        """Return the counters as they are scraped."""
        return {
            of(wire.CONNECT_ERRORS, **{KIND: "refused"}): text(self._scraped(self.failed)),
            of(wire.CONNECT_ERRORS, **{KIND: "timeout"}): text(self._scraped(lambda _: 0.0)),
            of(wire.OPENED): text(self._scraped(self.opened)),
            IDLE: text(self._scraped(lambda _: 1.0)),
        }

    def _scraped(self, counted: Callable[[int], float]) -> Samples:
        return [
            counted(max(0, at_s - PUSH_S)) if at_s % self.scrape_s == self.phase_s else None
            for at_s in range(LASTS_S)
        ]


def of_the_alert(over_s: int) -> str:
    """Return the expression that finds the alert where it fired in the last so many seconds."""
    return f'count_over_time(ALERTS{{alertname="{NAME}",alertstate="firing"}}[{over_s}s])'


def silent(fault: Fault) -> RuleTest:
    return RuleTest(
        f"silent: {fault}", 1, fault.series(), [Question(LASTS_S - 1, of_the_alert(LASTS_S), 0)]
    )


def paged(fault: Fault, within_s: int) -> RuleTest:
    """Return the test that it fires in time, whenever the rule is evaluated, and resolves."""
    known_at_s = FAULT_AT_S + within_s - EVALUATION_S
    resolved_at_s = fault.ends_at_s + RESOLVED_WITHIN_S + 2 * (fault.scrape_s - SCRAPE_S)
    asked = [
        Question(FAULT_AT_S, of_the_alert(FAULT_AT_S), 0),
        Question(known_at_s, of_the_alert(1), 1),
        Question(resolved_at_s - EVALUATION_S, of_the_alert(1), 0),
    ]
    return RuleTest(f"paged: {fault}", 1, fault.series(), asked)


def alone() -> Iterator[Group]:
    """Yield this one rule, and what it reads: all rules at every second would take minutes."""
    for group in groups(load_sources()):
        rules = tuple(rule for rule in group.rules if rule.name in (NAME, PLACES[SERVICE_POOL]))
        if rules:
            yield Group(group.name, rules)


def run(tests: Iterable[RuleTest], folder: Path) -> None:
    path = folder / "group.yaml"
    path.write_text(json.dumps(rule_file(tuple(alone()), load_sources())), encoding="utf-8")
    run_rule_tests(list(tests), folder, [path])


@needs_promtool
@pytest.mark.parametrize("lasts_s", [3, 10, 14])
def test_a_restart_of_less_than_15_seconds_never_pages(lasts_s: int, tmp_path: Path) -> None:
    run((silent(Fault(lasts_s, phase_s)) for phase_s in PHASES), tmp_path)


@needs_promtool
@pytest.mark.parametrize("opened_per_s", [0.0, 1.0])
def test_an_outage_of_a_minute_always_pages_within_a_minute(
    opened_per_s: float, tmp_path: Path
) -> None:
    """Connections that were opened just before it do not delay the page."""
    faults = (Fault(60, phase_s, opened_before_per_s=opened_per_s) for phase_s in PHASES)
    run((paged(fault, PAGED_WITHIN_S) for fault in faults), tmp_path)


@needs_promtool
def test_an_outage_of_few_attempts_pages_within_a_minute(tmp_path: Path) -> None:
    faults = (Fault(60, phase_s, failures_per_s=0.25) for phase_s in PHASES)
    run((paged(fault, PAGED_WITHIN_S) for fault in faults), tmp_path)


@needs_promtool
@pytest.mark.parametrize(("failures_per_s", "pages"), [(1.2, True), (1.0, False)])
def test_attempts_of_which_half_succeed_page_within_two_minutes_if_more_than_half_fail(
    failures_per_s: float, pages: bool, tmp_path: Path
) -> None:
    faults = [
        Fault(180, phase_s, failures_per_s, opened_meanwhile_per_s=1.0) for phase_s in (0, 7, 14)
    ]
    run((paged(fault, 120) if pages else silent(fault) for fault in faults), tmp_path)


@needs_promtool
def test_scrapes_every_30_seconds_page_later_and_not_for_a_restart(tmp_path: Path) -> None:
    slow = [Fault(180, phase_s, scrape_s=30) for phase_s in (0, 10, 29)]
    short = [Fault(14, phase_s, scrape_s=30) for phase_s in (0, 10, 29)]
    run([*(paged(fault, 150) for fault in slow), *map(silent, short)], tmp_path)

"""PoolExhausted pages nobody for a burst that waits for less than is within reason."""

from pathlib import Path

import pytest

from poolscope import catalogue as wire
from poolscope.catalogue import Phase
from poolscope_alerts.promql import PHASE
from support.alert_cases.of_pools import MAX, PENDING, TIMEOUTS, USED, of
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

STEP_S = 15
STEPS = 20
FIRING = 'ALERTS{alertstate="firing",alertname="PoolExhausted"}'


def a_full_pool(ages_s: dict[Phase, float], gave_up: int) -> dict[str, str]:
    """Return the series of a pool with a waiting caller, whose age is that of its phase."""
    ages = {of(wire.PENDING_AGE, **{PHASE: phase}): age_s for phase, age_s in ages_s.items()}
    gauges = {USED: 10, MAX: 10, PENDING: 1, **ages}
    counted = {TIMEOUTS: f"0+{gave_up}x{STEPS}"}
    return {series: f"{value:g}+0x{STEPS}" for series, value in gauges.items()} | counted


@needs_promtool
@pytest.mark.parametrize(
    ("queued_s", "gave_up", "is_told"),
    [(0.49, 0, 0), (0.5, 0, 1), (0.51, 0, 1), (None, 0, 1), (0.49, 1, 1)],
)
def test_a_full_pool_is_exhausted_once_a_caller_has_waited_for_half_a_second(
    queued_s: float | None, gave_up: int, is_told: int, tmp_path: Path
) -> None:
    ages_s = {} if queued_s is None else {Phase.CONNECT: 0.0, Phase.QUEUE: queued_s}
    question = Question(STEP_S * STEPS, FIRING, is_told)
    found = a_full_pool(ages_s, gave_up)
    run_rule_tests([RuleTest(f"waits for {queued_s} s", STEP_S, found, [question])], tmp_path)

"""When an alert would have fired, by the moments at which its expression held."""

import pytest

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.prometheus_rules import all_alerts
from poolscope_generators.incident.alarms import _fired

STEP_S = 5.0
FULL = next(alert for alert in all_alerts(load_sources()) if alert.name == "PoolFull")
LEAK = next(alert for alert in all_alerts(load_sources()) if alert.name == "PoolLeak")


def held(*stretches: tuple[int, int]) -> list[float]:
    return [float(at) for start, end in stretches for at in range(start, end + 1, int(STEP_S))]


def test_what_holds_as_long_as_the_alert_wants_fires_from_then_on() -> None:
    assert FULL.for_s == 60
    (alarm,) = _fired(FULL, {}, held((0, 100)), STEP_S)
    assert (alarm.start, alarm.end) == (60, 105)


@pytest.mark.parametrize(("last", "count"), [(55, 0), (60, 1)])
def test_what_holds_for_less_does_not_fire(last: int, count: int) -> None:
    assert len(list(_fired(FULL, {}, held((0, last)), STEP_S))) == count


def test_a_gap_begins_anew() -> None:
    assert list(_fired(FULL, {}, held((0, 50), (60, 110)), STEP_S)) == []


def test_what_fires_at_once_needs_one_moment_and_may_fire_twice() -> None:
    alarms = list(_fired(LEAK, {}, held((0, 0), (50, 60)), STEP_S))
    assert [(alarm.start, alarm.end) for alarm in alarms] == [(0, 5), (50, 65)]

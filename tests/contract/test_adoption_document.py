"""The applications that adopt poolscope agree with their locks, the rules and the Makefile."""

import re
from pathlib import Path

from adoption.pace import FULL, SHORT, Pace
from adoption.story import (
    AFTER_ANOTHER,
    COUNTED,
    GOOD_BYE_S,
    SAME_CALLS,
    SETTLES_S,
)
from adoption.table import APPS, OF_CI
from poolscope_alerts.__main__ import alerts_by_name, load_sources
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_generators.adoption.outcome import NEUTRAL, RIGHT
from poolscope_generators.adoption.record import Phase
from support.documents.markdown import ROOT

SET_UP_S = 420
SET_UP_OF_CI_S = 45
ADOPTERS = re.search(r"^ADOPTERS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def lasting_s(pace: Pace) -> float:
    """Return the seconds that one application takes; all are played side by side."""
    phases = sum(map(pace.lasting_s, Phase))
    calls = 2 * SAME_CALLS / 20  # each takes less than 50 ms
    waits = pace.between_s * len(AFTER_ANOTHER) + (SETTLES_S + 2) * len(COUNTED) + GOOD_BYE_S
    return phases + calls + waits


def test_right_words_are_those_of_the_exporter() -> None:
    assert set(RIGHT) == set(Phase)
    assert {word for right in RIGHT.values() for word in right.words} <= set(Diagnosis)
    assert set(Diagnosis) >= NEUTRAL


def test_right_alerts_are_those_of_the_shipped_rules() -> None:
    shipped = set(alerts_by_name(load_sources()))
    named = {name for right in RIGHT.values() for name in right.alerts | right.also}
    assert {name.partition("/")[0] for name in named} <= shipped


def test_each_environment_is_locked_and_made() -> None:
    assert ADOPTERS is not None
    assert {app.environment for app in APPS} == set(ADOPTERS[1].split())
    assert [app.name for app in APPS if not _lock(app.environment).exists()] == []


def test_each_incident_is_played_or_has_a_reason() -> None:
    for app in APPS:
        assert app.leak or Phase.LEAK in app.missing, app.name
        assert app.report or Phase.EXHAUSTION in app.missing, app.name


def test_a_run_takes_at_most_40_minutes_and_that_of_ci_5() -> None:
    assert lasting_s(FULL) + SET_UP_S <= 40 * 60
    assert lasting_s(SHORT) + SET_UP_OF_CI_S <= 5 * 60
    assert FULL.calm_s == 15 * 60


def test_the_short_run_plays_django_celery_and_litestar() -> None:
    assert OF_CI == ("django", "celery", "litestar")


def _lock(environment: str) -> Path:
    return ROOT / "requirements" / f"adopt-{environment}.txt"

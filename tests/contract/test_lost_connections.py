"""Each reason of a lost connection has a sentence, an alert, a next step and a row in the docs."""

import pytest

from poolscope.catalogue import EFFECTS, INVALIDATED, Effect, InvalidationReason
from poolscope.recording.driver_errors.invalidation_signs import MYSQL_NUMBERS, SQLSTATES, TEXTS
from poolscope_alerts.__main__ import FOLDER
from poolscope_alerts.pool_usage import CAUGHT, ENDED, STALE
from poolscope_exporter.core.judging.sentences import LOST
from support.documents.markdown import ROOT

HURTS = {reason for reason in InvalidationReason if EFFECTS[INVALIDATED][reason] is Effect.HURTS}
ALERTS = {
    **dict.fromkeys(STALE, "`PoolStaleSockets`"),
    **dict.fromkeys(CAUGHT, "`PoolStaleSocketsCaught`"),
    **dict.fromkeys(ENDED, "`PoolSessionsEnded`"),
}


def test_every_reason_that_hurts_callers_has_a_sentence_and_one_alert() -> None:
    assert set(LOST) == HURTS == {*STALE, *ENDED}
    assert len(HURTS) == len(STALE) + len(ENDED)


def test_every_reason_that_nobody_met_has_the_alert_on_caught_sockets() -> None:
    findings = {each for each in InvalidationReason if EFFECTS[INVALIDATED][each] is Effect.FINDING}
    assert findings == set(CAUGHT)


def test_every_sign_of_a_driver_gives_a_reason_that_has_a_sentence() -> None:
    assert {*SQLSTATES.values(), *MYSQL_NUMBERS.values(), *TEXTS} <= set(LOST)
    assert set(LOST) == set(TEXTS)


@pytest.mark.parametrize("reason", ENDED)
def test_runbook_on_ended_sessions_has_the_next_step_of_each_reason(
    reason: InvalidationReason,
) -> None:
    runbook = (FOLDER / "runbooks" / "PoolSessionsEnded.md").read_text(encoding="utf-8")
    assert f"\n- `{reason}`: " in runbook


@pytest.mark.parametrize("reason", InvalidationReason)
def test_document_on_metrics_names_the_alert_of_each_reason(reason: InvalidationReason) -> None:
    lines = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("## Why a connection was lost")
    [row] = [line for line in lines[start:] if line.startswith(f"| `{reason}` |")]
    assert row.split(" | ")[-1] == f"{ALERTS.get(reason, 'none')} |"

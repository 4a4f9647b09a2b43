"""Which phase took most of a slow wait."""

import pytest

from poolscope.catalogue import FailureReason, Phase
from poolscope.pushing.traces.wait_spans import match_phases
from poolscope.recording.traces.slow_notes import PhaseWait, SlowWait

CALLER, OTHER = object(), object()


def a_wait(began_s: float, ended_s: float, context: object = CALLER) -> SlowWait:
    return SlowWait(began_s, ended_s, None, context)


def queued(began_s: float, waited_s: float, context: object = CALLER) -> PhaseWait:
    return PhaseWait(Phase.QUEUE, began_s, waited_s, context)


def connecting(began_s: float, waited_s: float, context: object = CALLER) -> PhaseWait:
    return PhaseWait(Phase.CONNECT, began_s, waited_s, context)


def phases_of(
    waits: list[SlowWait], phases: list[PhaseWait], *, pre_ping: bool = False
) -> dict[SlowWait, Phase | None]:
    return {each.wait: each.phase for each in match_phases(waits, phases, pre_ping=pre_ping)[0]}


@pytest.mark.parametrize(
    ("queue_s", "connect_s", "phase"),
    [(5.0, 1.0, Phase.QUEUE), (1.0, 5.0, Phase.CONNECT), (0.0, 0.0, None), (1.0, 1.0, None)],
)
def test_the_phase_of_a_wait_is_the_longest_or_unknown(
    queue_s: float, connect_s: float, phase: Phase | None
) -> None:
    wait = a_wait(10.0, 16.0)
    parts = [queued(10.0, queue_s), connecting(10.0 + queue_s, connect_s)]
    assert phases_of([wait], parts) == {wait: phase}


def test_with_pre_ping_the_rest_of_a_wait_is_the_liveness_check() -> None:
    wait = a_wait(10.0, 16.0)
    assert phases_of([wait], [queued(10.0, 1.0)], pre_ping=True) == {wait: Phase.PING}


def test_a_phase_of_another_context_or_another_time_belongs_to_no_wait() -> None:
    wait = a_wait(10.0, 12.0)
    foreign = [queued(10.0, 2.0, OTHER), queued(7.0, 2.0), queued(10.5, 2.0)]
    found, left = match_phases([wait], foreign, pre_ping=False)
    assert (found[0].phase, set(left)) == (None, set(foreign))


def test_callers_that_wait_at_once_in_one_context_get_one_phase_of_a_kind_each() -> None:
    first, second = a_wait(10.0, 15.0), a_wait(10.1, 15.1)
    inner = [queued(10.2, 4.7), queued(10.3, 4.6)]  # each is inside of both waits
    assert phases_of([first, second], inner) == {first: Phase.QUEUE, second: Phase.QUEUE}


def test_the_phase_of_a_short_wait_is_not_that_of_a_long_one_around_it() -> None:
    long, short = a_wait(10.0, 20.0), a_wait(12.0, 14.0)
    parts = [connecting(10.0, 10.0), queued(12.0, 2.0)]
    assert phases_of([long, short], parts) == {long: Phase.CONNECT, short: Phase.QUEUE}


def test_a_phase_is_left_until_its_wait_has_ended() -> None:
    parts = [queued(10.0, 5.0)]
    found, left = match_phases([], parts, pre_ping=False)
    assert (found, left) == ([], parts)
    failed = SlowWait(10.0, 16.0, FailureReason.TIMEOUT, CALLER)
    assert phases_of([failed], left) == {failed: Phase.QUEUE}

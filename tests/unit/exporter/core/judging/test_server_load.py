"""A saturated database is the bottleneck: a pool before it is never called too small."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.fleet.growth import COUNT, SUM, WINDOW_S, Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis, diagnose
from poolscope_exporter.core.judging.server_load import (
    CPU_SATURATED,
    CPU_WINDOW_S,
    MEMORY_S,
    LoadHistory,
    Plateau,
    ServerLoad,
)
from support.exporter.builders import a_pool

POOL = a_pool()
PLATEAU = Plateau(at_work_before=4.0, mean_before_s=0.04, at_work=16.0, mean_s=0.16)


def uses(per_s: float, mean_s: float) -> Growth:
    """Return a window in which so many uses ended each second."""
    ended = per_s * WINDOW_S
    return Growth(
        {
            (catalogue.CHECKINS.name, ""): ended,
            (catalogue.USE_TIME.name, COUNT): ended,
            (catalogue.USE_TIME.name, SUM): ended * mean_s,
            (catalogue.QUEUE_TIME.name, SUM): ended,
        }
    )


def diagnosed(load: ServerLoad) -> PoolDiagnosis:
    """Return the diagnosis of a pool of which short uses end while callers wait."""
    numbers = PoolNumbers(
        used=16, max=16, pending=20, held_total=0, listed_total=0, growth=uses(100.0, 0.16)
    )
    return diagnose(numbers, [], headroom=None, load=load)


def test_callers_that_wait_while_short_uses_end_have_too_small_a_pool() -> None:
    assert diagnosed(ServerLoad()).diagnosis is Diagnosis.UNDERSIZED


@pytest.mark.parametrize("share", [CPU_SATURATED, 1.0, 3.5])
def test_busy_cpus_are_the_bottleneck(share: float) -> None:
    found = diagnosed(ServerLoad(cpu_share=share, cpus=4))
    assert (found.diagnosis, found.is_probable) == (Diagnosis.SERVER_SLOW, False)
    assert found.reasons[0] == (
        f"{4 * share:.1f} sessions compute on the server's 4 CPUs, on average"
    )
    assert "a larger pool would make every query slower" in " ".join(found.reasons)


def test_idle_cpus_are_not() -> None:
    load = ServerLoad(cpu_share=CPU_SATURATED - 0.01, cpus=4)
    assert diagnosed(load).diagnosis is Diagnosis.UNDERSIZED


def test_more_callers_that_gain_nothing_make_it_probable() -> None:
    found = diagnosed(ServerLoad(on_cpu=10, plateau=PLATEAU))
    assert (found.diagnosis, found.is_probable) == (Diagnosis.SERVER_SLOW, True)
    assert "took 0.04 s with 4.0: throughput stays" in found.reasons[0]


@pytest.mark.parametrize("on_cpu", [None, 0, 7])
def test_an_application_that_is_slow_itself_does_not_accuse_the_database(
    on_cpu: int | None,
) -> None:
    assert diagnosed(ServerLoad(on_cpu=on_cpu, plateau=PLATEAU)).diagnosis is Diagnosis.UNDERSIZED


def test_a_pool_in_which_nobody_waits_is_healthy_before_busy_cpus() -> None:
    numbers = PoolNumbers(used=3, max=16, pending=0, growth=uses(100.0, 0.03))
    found = diagnose(numbers, [], headroom=None, load=ServerLoad(cpu_share=1.0, cpus=4))
    assert found.diagnosis is Diagnosis.HEALTHY


def test_twice_the_connections_without_more_uses_are_a_plateau() -> None:
    history = LoadHistory()
    assert history.plateau(POOL, uses(100.0, 0.04), 0.0) is None
    assert history.plateau(POOL, uses(100.0, 0.16), 60.0) == PLATEAU


@pytest.mark.parametrize(
    ("per_s", "mean_s", "after_s"),
    [
        (200.0, 0.08, 60.0),  # twice as many end
        (100.0, 0.07, 60.0),  # not twice as many at work
        (100.0, 0.16, MEMORY_S + 1),  # so long ago that the queries may be others
        (0.5, 8.0, 60.0),  # too few to tell a rate
    ],
)
def test_these_are_no_plateau(per_s: float, mean_s: float, after_s: float) -> None:
    history = LoadHistory()
    history.plateau(POOL, uses(100.0, 0.04), 0.0)
    assert history.plateau(POOL, uses(per_s, mean_s), after_s) is None


def a_history(*on_cpu: tuple[float, int | None], waiting_since_s: float = 0.0) -> LoadHistory:
    history = LoadHistory()
    history.note_waiting(POOL, PoolNumbers(pending=1), waiting_since_s)
    for at_s, count in on_cpu:
        history.note_on_cpu("main", count, at_s)
    return history


def test_cpu_share_is_an_average_of_some_seconds() -> None:
    history = a_history((0.0, 9), (CPU_WINDOW_S, 1), (CPU_WINDOW_S + 1.0, 3))
    assert history.cpu_share("main", 4.0, POOL) == 0.5
    assert history.cpu_share("main", None, POOL) is None
    assert history.cpu_share("other", 4.0, POOL) is None


def test_a_survey_that_is_seen_twice_counts_once() -> None:
    assert a_history((0.0, 4), (0.0, 4), (5.0, 0)).cpu_share("main", 4.0, POOL) == 0.5


def test_one_survey_alone_does_not_make_the_cpus_idle() -> None:
    history = a_history((0.0, 1))
    assert history.cpu_share("main", 4.0, POOL) is None
    history.note_on_cpu("main", 1, 5.0)
    assert history.cpu_share("main", 4.0, POOL) == 0.25


def test_what_was_before_callers_waited_does_not_count() -> None:
    history = a_history((0.0, 0), waiting_since_s=1.0)
    assert history.cpu_share("main", 4.0, POOL) is None
    history.note_on_cpu("main", 4, 5.0)
    assert history.cpu_share("main", 4.0, POOL) == 1.0
    history.note_waiting(POOL, PoolNumbers(pending=0), 6.0)
    assert history.cpu_share("main", 4.0, POOL) is None


def test_nothing_is_undersized_before_the_server_was_looked_at() -> None:
    assert diagnosed(ServerLoad(cpus=4, on_cpu=0)).diagnosis is Diagnosis.FULL


def test_hidden_sessions_leave_the_cpus_unknown() -> None:
    assert a_history((0.0, 3), (1.0, None)).cpu_share("main", 4.0, POOL) is None


def test_what_is_gone_is_forgotten() -> None:
    history = a_history((0.0, 3))
    history.plateau(POOL, uses(100.0, 0.04), 0.0)
    history.keep_loads([], [])
    history.note_waiting(POOL, PoolNumbers(pending=1), 0.0)
    assert history.cpu_share("main", 4.0, POOL) is None
    assert history.plateau(POOL, uses(100.0, 0.16), 1.0) is None

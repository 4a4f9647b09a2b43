"""The last 15 minutes of each pool, four bytes per sample, the worst of each slot."""

import pytest

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.pool_history import (
    SAMPLE_BYTES,
    SLOT_S,
    SLOTS,
    PoolHistory,
    PoolSample,
    unpack_strip,
)
from poolscope_exporter.core.judging.overview.service_pools import (
    ServicePoolState,
    group_by_service,
)
from poolscope_exporter.core.judging.situation import PoolAssessment
from support.exporter.builders import a_pool


def a_state(
    diagnosis: Diagnosis = Diagnosis.HEALTHY,
    used: int | None = 3,
    pending: int | None = 0,
    name: str = "orders",
) -> ServicePoolState:
    numbers = PoolNumbers(used=used, max=15, pending=pending)
    found = PoolAssessment(a_pool(name=name), numbers, PoolDiagnosis(diagnosis, ()))
    (state,) = group_by_service([found])
    return state


def samples(history: PoolHistory, now_s: float) -> list[PoolSample | None]:
    (strip,) = history.strips(now_s).values()
    return unpack_strip(strip)


def test_a_sample_has_four_bytes_and_a_pool_fifteen_minutes() -> None:
    history = PoolHistory()
    history.record_states([a_state()], 5_000.0)
    (strip,) = history.strips(5_000.0).values()

    assert SAMPLE_BYTES == 4
    assert SLOTS * SLOT_S == 900
    assert len(strip) == SAMPLE_BYTES * SLOTS


def test_a_slot_keeps_its_worst_diagnosis_and_its_highest_numbers() -> None:
    history = PoolHistory()
    for state in (a_state(), a_state(Diagnosis.LEAKING, 12, 4), a_state(Diagnosis.FULL, 6, 7)):
        history.record_states([state], 5_001.0)

    assert samples(history, 5_001.0)[-1] == PoolSample(Diagnosis.LEAKING, 80, 7)


def test_slots_without_a_sample_are_empty_and_the_newest_is_last() -> None:
    history = PoolHistory()
    history.record_states([a_state(Diagnosis.FULL)], 5_000.0)
    history.record_states([a_state()], 5_030.0)

    found = samples(history, 5_040.0)
    assert [each and each.diagnosis for each in found[-5:]] == [
        Diagnosis.FULL, None, None, Diagnosis.HEALTHY, None,
    ]  # fmt: skip
    assert found[:-5] == [None] * (SLOTS - 5)


def test_a_ring_that_is_full_drops_its_oldest_sample() -> None:
    history = PoolHistory()
    for slot in range(SLOTS + 3):
        state = a_state(Diagnosis.FULL if slot < 4 else Diagnosis.HEALTHY)
        history.record_states([state], slot * SLOT_S)

    found = samples(history, (SLOTS + 2) * SLOT_S)
    assert [each and each.diagnosis for each in found] == [Diagnosis.FULL] + [Diagnosis.HEALTHY] * (
        SLOTS - 1
    )


@pytest.mark.parametrize("gap_slots", [SLOTS - 1, SLOTS, 3 * SLOTS])
def test_a_pool_that_was_gone_begins_with_empty_slots(gap_slots: int) -> None:
    history = PoolHistory()
    history.record_states([a_state(Diagnosis.FULL)], 5_000.0)
    later_s = 5_000.0 + gap_slots * SLOT_S
    history.record_states([a_state()], later_s)

    found = samples(history, later_s)
    assert found[-1] == PoolSample(Diagnosis.HEALTHY, 20, 0)
    assert found.count(None) == SLOTS - (2 if gap_slots < SLOTS else 1)


def test_unknown_numbers_stay_unknown_and_huge_ones_are_capped() -> None:
    history = PoolHistory()
    history.record_states([a_state(used=None, pending=None)], 5_000.0)
    assert samples(history, 5_000.0)[-1] == PoolSample(Diagnosis.HEALTHY, None, None)

    history.record_states([a_state(used=10**9, pending=10**9)], 5_000.0)
    assert samples(history, 5_000.0)[-1] == PoolSample(Diagnosis.HEALTHY, 250, 65_534)


def test_a_pool_that_is_gone_gives_way_and_a_live_one_does_not() -> None:
    history = PoolHistory(max_pools=1)
    history.record_states([a_state(name="a")], 5_000.0)
    history.record_states([a_state(name="a"), a_state(name="b")], 5_010.0)
    assert [name.pool for name in history.strips(5_010.0)] == ["a"]

    history.record_states([a_state(name="b")], 5_030.0)
    assert [name.pool for name in history.strips(5_030.0)] == ["b"]


def test_a_pool_without_a_sample_in_the_window_is_dropped() -> None:
    history = PoolHistory()
    history.record_states([a_state()], 5_000.0)
    history.record_states([], 5_000.0 + SLOTS * SLOT_S)

    assert history.strips(5_900.0) == {}

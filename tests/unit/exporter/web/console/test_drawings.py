"""The bar and the strip of a pool are computed as sizes and paths, with a text beside them."""

import pytest

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.pool_history import PoolHistory
from poolscope_exporter.core.judging.overview.service_pools import PoolSums, group_by_service
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.web.console.drawings import (
    BAR_WAITING,
    BAR_WIDTH,
    Strip,
    connection_bar,
    draw_strip,
    style_of,
)
from support.exporter.builders import a_pool


def sums(
    used: int | None = 5, idle: int | None = 0, limit: int | None = 10, waiting: int | None = 0,
    overflow: int | None = 0,
) -> PoolSums:  # fmt: skip
    return PoolSums(used, idle, overflow, limit, waiting, None)


def strip_of(*samples: tuple[Diagnosis, int, int] | None) -> Strip:
    history = PoolHistory()
    for slot, sample in enumerate(samples):
        if sample:
            diagnosis, used, pending = sample
            numbers = PoolNumbers(used=used, max=10, pending=pending)
            state = PoolAssessment(a_pool(), numbers, PoolDiagnosis(diagnosis, ()))
            history.record_states(group_by_service([state]), 10.0 * slot)
    (packed,) = history.strips(10.0 * (len(samples) - 1)).values()
    return draw_strip(packed)


@pytest.mark.parametrize("unknown", [sums(used=None), sums(limit=None), sums(limit=0)])
def test_without_use_or_limit_there_is_no_bar(unknown: PoolSums) -> None:
    assert connection_bar(unknown) == ()


def test_pieces_fill_the_limit_and_waiting_callers_stand_beyond_it() -> None:
    pieces = connection_bar(sums(used=8, idle=2, overflow=3, waiting=1))

    assert [(each.style, each.x, each.width) for each in pieces] == [
        ("used", 0.0, 60.0), ("over", 60.0, 36.0), ("idle", 96.0, 24.0), ("wait", 120, 12.0),
    ]  # fmt: skip


def test_more_than_the_limit_or_many_waiters_stay_within_the_drawing() -> None:
    pieces = connection_bar(sums(used=30, waiting=5_000))

    assert max(each.x + each.width for each in pieces) == BAR_WIDTH + BAR_WAITING


@pytest.mark.parametrize(
    ("diagnosis", "style"),
    [
        (Diagnosis.LEAKING, "bad"),
        (Diagnosis.DEADLOCKED, "bad"),
        (Diagnosis.CONNECTING, "warn"),
        (Diagnosis.FULL, "warn"),
        (Diagnosis.UNKNOWN, "dim"),
        (Diagnosis.HEALTHY, "good"),
    ],
)
def test_a_diagnosis_has_the_style_of_its_harm(diagnosis: Diagnosis, style: str) -> None:
    assert style_of(diagnosis) == style


def test_neighbouring_slots_of_one_style_are_one_band() -> None:
    calm, leaks = (Diagnosis.HEALTHY, 2, 0), (Diagnosis.LEAKING, 10, 4)
    drawn = strip_of(calm, calm, None, leaks)

    assert [(each.style, each.x, each.width) for each in drawn.bands] == [
        ("good", 86, 2), ("bad", 89, 1),
    ]  # fmt: skip
    assert drawn.used == "M86 18h2M89 2h1"
    assert drawn.waiting == "M86 22h2M89 2h1"
    assert drawn.summary == (
        "last 15 minutes: leaking 10 s, healthy 20 s, no data 14 min; at most 4 waiting"
    )


def test_without_waiters_there_is_no_line_of_them() -> None:
    assert strip_of((Diagnosis.HEALTHY, 2, 0)).waiting == ""

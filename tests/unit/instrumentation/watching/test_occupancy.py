"""The profile of connection-holding time is right on average, bounded, and cheap."""

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest

from poolscope.catalogue import OTHER, Doing
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.pool import OpenCheckout, PoolIdentity
from poolscope.watching.holder_looks import MAX_HOLDERS, HolderLooks, OpenUse, Sighting
from poolscope.watching.occupancy import MAX_KEYS, Occupancy
from poolscope.watching.positions import Position
from poolscope.watching.sampling import BUDGET, CALM_HZ, LookSchedule

SHOP = PoolIdentity("shop")
HTTPX = "httpx.AsyncClient.get"


class SeenAt(HolderLooks):
    """Looks with known results, by checkout id."""

    def __init__(self, doing: dict[int, str]) -> None:
        self.doing = doing

    def holder_sighting(self, checkout_id: int) -> Sighting | None:
        doing = self.doing.get(checkout_id)
        return None if doing is None else Sighting(Position(UNKNOWN_SITE, doing, doing), 0.0)


def out(checkout_id: int) -> OpenUse:
    owner: Any = None
    return OpenUse(SHOP, OpenCheckout(checkout_id, 0.0, UNKNOWN_SITE, None, owner, None, object))


def seconds_by_doing(occupancy: Occupancy) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for key, seconds in occupancy.take_rows():
        found[key.doing] += seconds
    return found


def at(now_s: float) -> dict[int, str]:
    """Return the truth at one moment: two connections, each with its own rhythm.

    The first one repeats every second, as often as a calm process is looked at.
    """
    found = {1: Doing.DATABASE if now_s % 1.0 < 0.3 else HTTPX}
    if now_s % 7.0 < 2.0:
        found[2] = Doing.APPLICATION
    return {key: str(doing) for key, doing in found.items()}


TRUTH = {Doing.DATABASE: 0.3, HTTPX: 0.7, Doing.APPLICATION: 2 / 7}
"""Connections that are out in each way, on average."""


@pytest.mark.parametrize("is_pressed", [False, True])
def test_the_estimate_is_within_one_point_on_a_simulated_clock(is_pressed: bool) -> None:
    schedule, occupancy = LookSchedule(10.0, Random(7).uniform), Occupancy()
    schedule.is_pressed = is_pressed
    now_s, begin_s = 0.0, None
    for _ in range(40_000):
        now_s += schedule.next_delay_s()
        present = at(now_s)
        occupancy.add_look(map(out, present), SeenAt(present), schedule.elapsed_s(now_s))
        begin_s = now_s if begin_s is None else begin_s
    assert begin_s is not None
    found = seconds_by_doing(occupancy)
    total_s = sum(found.values())
    for doing, truth in TRUTH.items():
        assert found[doing] / total_s == pytest.approx(truth / sum(TRUTH.values()), abs=0.01)
    assert total_s / (now_s - begin_s) == pytest.approx(sum(TRUTH.values()), abs=0.02)


def test_regular_looks_would_miss_what_repeats_as_often() -> None:
    """The test above would fail with a schedule that does not vary its delays."""
    occupancy = Occupancy()
    for now_s in range(1, 1000):
        present = at(float(now_s))
        occupancy.add_look(map(out, present), SeenAt(present), 1.0)
    assert HTTPX not in seconds_by_doing(occupancy)


def test_calm_processes_are_looked_at_once_a_second_and_others_as_the_setting_says() -> None:
    schedule = LookSchedule(10.0, lambda low, high: (low + high) / 2)
    assert schedule.next_delay_s() == pytest.approx(1 / CALM_HZ)
    schedule.is_pressed = True
    assert schedule.next_delay_s() == pytest.approx(0.1)


def test_without_a_profile_positions_are_looked_at_once_a_second() -> None:
    schedule = LookSchedule(0.0, Random(1).uniform)
    schedule.is_pressed = True
    assert schedule.rate_hz == CALM_HZ


@pytest.mark.parametrize(("cost_s", "is_slower"), [(0.0002, False), (0.001, True), (0.01, True)])
def test_the_rate_lowers_itself_beyond_its_share_of_a_core(cost_s: float, is_slower: bool) -> None:
    schedule = LookSchedule(10.0, Random(1).uniform)
    schedule.is_pressed = True
    for _ in range(50):
        schedule.note_cost(cost_s)
    assert (schedule.rate_hz < 10.0) is is_slower
    assert schedule.rate_hz * cost_s <= BUDGET


def test_a_suspended_machine_counts_as_one_interval() -> None:
    schedule = LookSchedule(10.0, Random(1).uniform)
    assert schedule.elapsed_s(100.0) == 0.0
    assert schedule.elapsed_s(101.0) == 1.0
    assert schedule.elapsed_s(4_000.0) < 4.0


def test_a_full_table_adds_further_rows_to_other_and_loses_no_second() -> None:
    occupancy = Occupancy()
    names = {number: f"call{number}" for number in range(MAX_KEYS + 50)}
    for number, name in names.items():
        occupancy.add_look([out(number)], SeenAt({number: name}), 1.0)
    occupancy.add_look([out(1)], SeenAt({1: str(Doing.DATABASE)}), 1.0)
    rows = occupancy.take_rows()
    assert len(rows) <= MAX_KEYS + 2
    assert sum(seconds for _, seconds in rows) == MAX_KEYS + 51
    found = Counter(key.doing for key, _ in rows)
    assert found[OTHER] == found[Doing.DATABASE] == 1


def test_connections_beyond_the_limit_of_a_look_count_as_other() -> None:
    occupancy = Occupancy()
    occupancy.add_look(map(out, range(MAX_HOLDERS + 3)), SeenAt({}), 2.0)
    found = seconds_by_doing(occupancy)
    assert found == {Doing.UNKNOWN: 2.0 * MAX_HOLDERS, OTHER: 6.0}


def test_rows_that_no_exporter_got_are_pushed_again() -> None:
    occupancy = Occupancy()
    occupancy.add_look([out(1)], SeenAt({1: HTTPX}), 1.0)
    taken = occupancy.take_rows()
    occupancy.add_look([out(1)], SeenAt({1: HTTPX}), 2.0)
    occupancy.restore_rows(taken)
    assert seconds_by_doing(occupancy) == {HTTPX: 3.0}
    assert occupancy.take_rows() == []

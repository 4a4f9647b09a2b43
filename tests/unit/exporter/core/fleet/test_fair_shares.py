"""A sender that takes all the room gives way to the others, up to their fair shares."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope_exporter.core.admission import limits
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fair_shares import gives_way
from poolscope_exporter.core.fleet.fleet import Fleet, PushResult
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Push
from support.exporter.builders import a_checkout, a_point, a_pool, a_push, holding

LIMIT = 100


def a_process_push(service: str, number: int, *, sequence: int, things: int) -> Push:
    """Return a push with so many checkouts, backend PIDs and series."""
    instance = Instance("", service, f"{service}-{number}")
    pool = a_pool(instance)
    points = (
        a_point(catalogue.LEAKS, pool=pool, attributes={catalogue.CALL_SITE: f"x.py:{n}"})
        for n in range(things)
    )
    checkouts = (a_checkout(n + 1, pool=pool) for n in range(things))
    return a_push(
        *points,
        instance=instance,
        sequence=sequence,
        held=(holding(*checkouts, pool=pool),),
        backend_pids={pool: frozenset(range(1, things + 1))},
    )


class Crowd:
    """A fleet with room for a hundred of everything, and its senders."""

    def __init__(self, max_instances: int = LIMIT) -> None:
        self.fleet = Fleet(max_instances, max_series=LIMIT, max_held_checkouts=LIMIT)
        self._sequence = 0

    def push(self, service: str, processes: int, things: int, now_s: float) -> list[PushResult]:
        self._sequence += 1
        return [
            self.fleet.record_push(
                a_process_push(service, number, sequence=self._sequence, things=things), now_s
            )
            for number in range(processes)
        ]

    def held(self, service: str, now_s: float) -> int:
        held = self.fleet.held(now_s)
        return sum(each.checkout.pool.instance.name == service for each in held)

    def sessions(self, service: str, now_s: float) -> int:
        pids = self.fleet.live_backend_pids(now_s).items()
        return sum(len(each) for pool, each in pids if pool.instance.name == service)

    def series(self, service: str, now_s: float) -> int:
        return sum(instance.name == service for instance, _ in self.fleet.series(now_s))

    def instances(self, service: str, now_s: float) -> int:
        return sum(each.instance.name == service for each in self.fleet.instances(now_s))


@pytest.fixture(autouse=True)
def room_for_a_hundred_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SESSIONS", LIMIT)


@pytest.mark.parametrize("count", [Crowd.held, Crowd.sessions, Crowd.series])
def test_sender_that_took_all_the_room_gives_way_to_one_below_its_share(
    count: Callable[[Crowd, str, float], int],
) -> None:
    crowd = Crowd()
    crowd.push("greedy", processes=10, things=20, now_s=100.0)
    assert count(crowd, "greedy", 100.0) == LIMIT
    [first] = crowd.push("honest", processes=1, things=30, now_s=101.0)
    assert count(crowd, "honest", 101.0) == 30
    assert (first.rejected_points, first.refused) == (0, {})
    results = crowd.push("greedy", processes=10, things=20, now_s=102.0)
    assert count(crowd, "honest", 102.0) == 30
    assert 50 <= count(crowd, "greedy", 102.0) <= LIMIT - 30
    assert any(each.refused for each in results)


def test_shares_of_two_greedy_senders_are_equal() -> None:
    crowd = Crowd()
    for now_s in range(100, 110):
        for service in ("one", "other"):
            crowd.push(service, processes=10, things=10, now_s=float(now_s))
    assert crowd.held("one", 109.0) + crowd.held("other", 109.0) <= LIMIT
    assert min(crowd.held("one", 109.0), crowd.held("other", 109.0)) >= 40


def test_sender_alone_may_use_all_the_room() -> None:
    crowd = Crowd()
    crowd.push("alone", processes=5, things=20, now_s=100.0)
    assert crowd.held("alone", 100.0) == crowd.series("alone", 100.0) == LIMIT


def test_process_of_the_sender_with_most_of_them_gives_way_to_a_new_one() -> None:
    crowd = Crowd(max_instances=10)
    crowd.push("greedy", processes=12, things=1, now_s=100.0)
    assert crowd.instances("greedy", 100.0) == 10
    crowd.push("honest", processes=3, things=1, now_s=101.0)
    assert crowd.instances("honest", 101.0) == 3
    crowd.push("greedy", processes=12, things=1, now_s=102.0)
    assert crowd.instances("honest", 102.0) == 3
    assert crowd.fleet.refused[Refusal.TOO_MANY_INSTANCES] > 0


def test_owner_of_a_token_is_one_sender_whatever_its_services_are() -> None:
    fleet = Fleet(10)
    for number in range(12):
        push = a_process_push(f"service-{number}", 1, sequence=1, things=0)
        fleet.record_push(replace(push, owner="greedy"), 100.0)
    for number in range(3):
        push = a_process_push(f"other-{number}", 1, sequence=1, things=0)
        assert fleet.record_push(replace(push, owner="honest"), 101.0).accepted


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ({"a": 90, "b": 10}, "a"),
        ({"a": 51, "b": 49}, "a"),
        ({"a": 50, "b": 50}, None),
        ({"b": 100}, None),
        ({}, None),
        ({"a": 60, "c": 30, "b": 10}, "a"),
    ],
)
def test_heaviest_sender_above_its_share_gives_way(
    used: dict[str, int], expected: str | None
) -> None:
    assert gives_way(used, "b", LIMIT) == expected

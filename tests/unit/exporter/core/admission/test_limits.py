"""What all senders together may fill has a bound, and comes back when they are gone."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.model.pushes import Point, Push
from support.exporter.builders import a_checkout, a_point, a_pool, a_push, an_instance, holding

GONE_S = 10_000.0


def of(name: str, *points: Point, sequence: int = 1, held: int = 0, pids: int = 0) -> Push:
    instance = an_instance(name)
    pool = a_pool(instance)
    checkouts = [a_checkout(number, pool=pool) for number in range(held)]
    return a_push(
        *points,
        instance=instance,
        sequence=sequence,
        held=(holding(*checkouts, pool=pool),) if held else (),
        backend_pids={pool: frozenset(range(pids))} if pids else {},
    )


def room_taken(fleet: Fleet) -> tuple[int, int, int]:
    budgets = fleet._budgets
    return budgets.series.used, budgets.held.used, budgets.sessions.used


def test_series_of_all_processes_together_are_bounded() -> None:
    fleet = Fleet(max_series=3)
    one = fleet.record_push(of("a", a_point(), a_point(catalogue.CHECKINS)), 100.0)
    other = fleet.record_push(of("b", a_point(), a_point(catalogue.CHECKINS)), 100.0)

    assert (one.reason, other.reason) == (None, "refused: 1 too_many_series")
    assert len(list(fleet.series(100.0))) == 3


def test_series_that_are_kept_go_on_where_there_is_no_more_room() -> None:
    fleet = Fleet(max_series=1)
    fleet.record_push(of("a", a_point(value=1.0)), 100.0)
    fleet.record_push(of("b", a_point()), 100.0)

    assert fleet.record_push(of("a", a_point(value=2.0), sequence=2), 105.0).reason is None
    assert [point.value for _, point in fleet.series(105.0)] == [2.0]


def test_routes_take_room_as_series_do() -> None:
    fleet = Fleet(max_series=1)
    routes = [
        a_point(catalogue.ROUTE_CHECKOUTS, 1.0, attributes={catalogue.HTTP_ROUTE: route})
        for route in ("/a", "/b")
    ]

    assert fleet.record_push(of("a", *routes), 100.0).reason == "refused: 1 too_many_series"


def test_the_room_of_a_process_that_is_gone_is_there_for_others() -> None:
    fleet = Fleet(max_series=2, max_held_checkouts=1)
    points = a_point(), a_point(catalogue.ROUTE_CHECKOUTS, attributes={catalogue.HTTP_ROUTE: "/"})
    fleet.record_push(of("a", *points, held=1, pids=3), 100.0)
    fleet.tick(100.0 + GONE_S)
    result = fleet.record_push(of("b", *points, held=1, pids=3), 100.0 + GONE_S)

    assert result.reason is None
    assert len(fleet.held(100.0 + GONE_S)) == 1
    assert room_taken(fleet) == (2, 1, 3)


def test_a_restart_takes_its_room_once() -> None:
    fleet = Fleet()
    for pid in ("1", "2"):
        push = of("a", a_point(), held=2, pids=3)
        fleet.record_push(a_push(*push.points, instance=push.instance, held=push.held,
                          backend_pids=push.backend_pids,
                          resource={catalogue.PROCESS_PID: pid}), 100.0)  # fmt: skip

    assert room_taken(fleet) == (1, 2, 3)


@pytest.mark.parametrize(("held", "kept"), [(2, 3), (3, 4), (4, 4)])
def test_held_checkouts_of_all_processes_together_are_bounded(held: int, kept: int) -> None:
    fleet = Fleet(max_held_checkouts=4)
    fleet.record_push(of("a", held=1), 100.0)
    fleet.record_push(of("b", held=held), 100.0)

    assert len(fleet.held(100.0)) == kept
    assert fleet.refused["too_many_checkouts"] == 1 + held - kept


def test_a_process_replaces_its_own_list_where_there_is_no_more_room() -> None:
    fleet = Fleet(max_held_checkouts=2)
    for sequence in (1, 2):
        fleet.record_push(of("a", held=2, sequence=sequence), 100.0 + sequence)

    assert len(fleet.held(102.0)) == 2
    assert not +fleet.refused


def test_backend_live_backend_pids_processes_together_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("poolscope_exporter.core.admission.limits.MAX_SESSIONS", 5)
    fleet = Fleet()
    fleet.record_push(of("a", pids=3), 100.0)
    fleet.record_push(of("b", pids=3), 100.0)

    assert sum(map(len, fleet.live_backend_pids(100.0).values())) == 3
    assert fleet.refused["too_many_sessions"] == 1


@pytest.mark.parametrize(("length", "used"), [(100, 1), (1_000, 4)])
def test_a_series_of_long_texts_takes_the_room_of_several_and_gives_it_back(
    length: int, used: int
) -> None:
    fleet = Fleet()
    evidence = {catalogue.CALL_SITE: "x" * length}
    fleet.record_push(of("a", a_point(catalogue.LEAKS, attributes=evidence)), 100.0)
    assert room_taken(fleet) == (used, 0, 0)

    fleet.tick(100.0 + GONE_S)
    assert room_taken(fleet) == (0, 0, 0)

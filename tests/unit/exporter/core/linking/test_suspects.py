"""Everybody who holds a connection is looked up in turn, whoever else holds how many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolscope.catalogue import Evidence
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.linking.suspects import MISSING_TURNS, Suspects
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey, Instance, Pool
from poolscope_exporter.core.model.endpoints import Endpoint
from support.exporter.builders import (
    SERVER,
    a_checkout,
    a_pool,
    a_push,
    a_server,
    an_instance,
    holding,
)

NOW_S = 101.0


def a_fleet(*checkouts: Checkout) -> Fleet:
    """Return a fleet that holds them, each process by one push."""
    fleet = Fleet()
    by_process: dict[Instance, dict[Pool, list[Checkout]]] = {}
    for checkout in checkouts:
        pool = checkout.pool
        by_process.setdefault(pool.instance, {}).setdefault(pool, []).append(checkout)
    for instance, pools in by_process.items():
        held = tuple(holding(*listed) for listed in pools.values())
        fleet.record_push(a_push(instance=instance, held=held), 100.0)
    return fleet


def process(name: str, count: int, first_pid: int) -> list[Checkout]:
    """Return so many checkouts of one process, the first held longest."""
    pool = a_pool(an_instance(name))
    return [
        a_checkout(n, pool=pool, backend_pid=first_pid + n, age_s=100.0 - n) for n in range(count)
    ]


def looked_up(suspects: Suspects, fleet: Fleet, limit: int = 1000) -> list[int]:
    return suspects.choose_pids(SERVER, fleet, [a_server()], NOW_S, limit=limit)


def test_pids_are_valid_each_once_oldest_first() -> None:
    fleet = a_fleet(
        a_checkout(1, age_s=2.0, backend_pid=11),
        a_checkout(2, age_s=9.0, backend_pid=12),
        a_checkout(3, age_s=5.0, backend_pid=12),
        *(a_checkout(n, backend_pid=pid) for n, pid in enumerate((None, -1, 0, 4_194_305), 4)),
        a_checkout(8, age_s=1.0, backend_pid=4_194_304),
        a_checkout(9, age_s=0.5, backend_pid=1),
    )
    assert looked_up(Suspects(), fleet) == [12, 11, 4_194_304, 1]


def test_a_server_is_asked_of_its_own_alone() -> None:
    other = Endpoint("192.0.2.1", 5432)
    nowhere = Endpoint("192.0.2.2", 5432)
    elsewhere = a_pool(server_address="unheard-of")
    fleet = a_fleet(
        a_checkout(1, backend_pid=11),
        a_checkout(2, backend_pid=12, peer=other),
        a_checkout(3, backend_pid=13, peer=nowhere, pool=elsewhere),
    )
    servers, suspects = [a_server(), a_server("other", other)], Suspects()
    assert suspects.choose_pids(SERVER, fleet, servers, NOW_S) == [11]
    assert suspects.choose_pids("other", fleet, servers, NOW_S) == [12]
    assert suspects.choose_pids(SERVER, fleet, [], NOW_S) == []


@pytest.mark.parametrize(("limit", "left_out"), [(2, 1), (3, 0), (4, 0)])
def test_what_has_no_room_is_counted(limit: int, left_out: int) -> None:
    suspects, fleet = Suspects(), a_fleet(*process("a", 3, 1))
    assert len(looked_up(suspects, fleet, limit)) == min(limit, 3)
    assert suspects.left_out(SERVER) == left_out
    assert suspects.left_out("other") == 0


@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    limit=st.integers(1, 12),
)
def test_all_are_looked_up_within_as_many_looks_as_they_need(counts: list[int], limit: int) -> None:
    held = [
        each
        for number, count in enumerate(counts)
        for each in process(f"p{number}", count, 1 + 100 * number)
    ]
    suspects, fleet = Suspects(), a_fleet(*held)
    looks = -(-len(held) // limit)
    # A process with many is asked no faster than its share allows: at worst its last one waits.
    rounds = looks + max(counts)
    seen = {pid for _ in range(rounds) for pid in looked_up(suspects, fleet, limit)}
    assert seen == {checkout.backend_pid for checkout in held}


def test_processes_with_hundreds_take_no_room_from_others() -> None:
    hostile = [each for n in range(3) for each in process(f"hostile-{n}", 500, 1 + 1_000 * n)]
    honest = process("honest", 10, 10_000)
    pids = looked_up(Suspects(), a_fleet(*hostile, *honest))
    assert {checkout.backend_pid for checkout in honest} <= set(pids)
    assert len(pids) == 1_000


def test_who_was_left_out_comes_first_then_who_has_evidence() -> None:
    pool = a_pool()
    first, second, third = (
        a_checkout(n, pool=pool, backend_pid=n, age_s=100.0 - n) for n in (1, 2, 3)
    )
    leaked = a_checkout(4, pool=pool, backend_pid=4, age_s=1.0, evidence=Evidence.REQUEST_FINISHED)
    suspects, fleet = Suspects(), a_fleet(first, second, third, leaked)
    assert looked_up(suspects, fleet, 2) == [4, 1]
    assert looked_up(suspects, fleet, 2) == [2, 3]
    assert looked_up(suspects, fleet, 2) == [4, 1]


def test_a_session_that_was_missing_gives_way() -> None:
    held = process("a", 3, 1)
    missing = held[0].key

    def is_missing(key: CheckoutKey) -> bool:
        return key == missing

    suspects = Suspects()
    pids = suspects.choose_pids(
        SERVER, a_fleet(*held), [a_server()], NOW_S, limit=2, is_missing=is_missing
    )
    assert pids == [2, 3]


def test_a_session_that_was_missing_is_looked_up_again() -> None:
    held = process("a", 4, 1)
    missing = held[0].key
    suspects, fleet = Suspects(), a_fleet(*held)
    looked_at = [
        suspects.choose_pids(
            SERVER, fleet, [a_server()], NOW_S, limit=1, is_missing=lambda key: key == missing
        )
        for _ in range(4 * MISSING_TURNS)
    ]
    assert 1 <= looked_at.count([1]) < looked_at.count([2])

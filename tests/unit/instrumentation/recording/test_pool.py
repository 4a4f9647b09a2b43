"""What hooks note of a pool is counted when somebody reads it, or when much has gathered."""

import sys
import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from poolscope import catalogue
from poolscope.recording.checkout import make_record_checkout
from poolscope.recording.pool import NOTED_LIMIT, PoolIdentity, PoolStats, Slot
from poolscope.recording.requests import CURRENT, Request

NO_READER: Any = None
HELD_S = 0.25


@pytest.fixture
def stats() -> PoolStats:
    return PoolStats(PoolIdentity("shop"), NO_READER)


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    """Let the interpreter switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_an_identity_is_text_whatever_it_is_made_of() -> None:
    mock: Any = MagicMock()
    identity = PoolIdentity(mock, mock.database, None, mock.port)  # type: ignore[arg-type]
    kinds = {type(value) for value in (identity.name, identity.db_namespace)}
    assert kinds == {str}
    assert (identity.server_address, identity.server_port) == ("", None)
    assert PoolIdentity("shop", "orders", "db", 5432).server_port == 5432


def test_whoever_reads_has_everything_counted_that_is_noted(stats: PoolStats) -> None:
    check_out(stats)
    assert (sum(stats.wait.counts), sum(stats.use.counts)) == (1, 1)
    assert stats.use.sum == HELD_S
    check_out(stats)
    counted = {metric: sum(timed.counts) for metric, timed in stats.timed}
    assert (counted[catalogue.WAIT_TIME], counted[catalogue.USE_TIME]) == (2, 2)


def test_what_nobody_reads_does_not_gather(stats: PoolStats) -> None:
    for _ in range(3 * NOTED_LIMIT):
        check_out(stats)
        assert max(len(stats.waits), len(stats.uses)) <= NOTED_LIMIT + 1
    assert sum(stats.wait.counts) == sum(stats.use.counts) == 3 * NOTED_LIMIT


def test_a_route_has_what_its_requests_held_even_if_it_becomes_known_later(
    stats: PoolStats,
) -> None:
    scope: dict[str, Any] = {}
    request = Request()
    request.scope = scope
    token = CURRENT.set(request)
    check_out(stats)
    CURRENT.reset(token)
    scope["route"] = type("Route", (), {"path": "/orders/{order_id}"})
    request.finish()
    check_out(stats)  # for no request
    assert stats.routes == {"/orders/{order_id}": [1, HELD_S]}


def test_a_forked_child_forgets_what_its_parent_had_only_noted(stats: PoolStats) -> None:
    check_out(stats)
    stats.reset()
    assert (sum(stats.wait.counts), sum(stats.use.counts), stats.use.sum) == (0, 0, 0)
    assert (stats.waits, stats.uses) == ([], [])


def test_a_forked_child_makes_no_exemplar_of_a_slow_use_of_its_parent(stats: PoolStats) -> None:
    stats.notice_waits(0.0)
    stats.uses.append((2.0, 1.0, None, 1, {"span": "of the parent"}))
    stats.reset()
    assert not stats.slow.has_notes


def test_many_threads_that_note_and_count_at_once_lose_nothing(
    stats: PoolStats, hurried_threads: None
) -> None:
    times, takers, ended = 3_000, 4, threading.Event()

    def take() -> None:
        for _ in range(times):
            check_out(stats)

    def read() -> None:
        while not ended.is_set():
            stats.count()

    threads = [threading.Thread(target=take) for _ in range(takers)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads + readers:
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    for reader in readers:
        reader.join()
    assert sum(stats.wait.counts) == sum(stats.use.counts) == times * takers
    assert stats.use.sum == pytest.approx(times * takers * HELD_S)


def check_out(stats: PoolStats) -> None:
    """Take a connection and give it back."""
    slot = Slot(stats)
    make_record_checkout()(stats, slot, 1.0, 1.5, None, object)
    stats.end(slot, 1.5 + HELD_S)

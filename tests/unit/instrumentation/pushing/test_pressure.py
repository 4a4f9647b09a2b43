"""A process is under pressure while a caller waits, a pool is full, or something failed anew."""

import pytest

from poolscope.catalogue import ConnectErrorKind, FailureReason, Phase
from poolscope.pushing.pressure import Pressure
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, PoolStats, Slot
from poolscope.recording.tasks import this_thread
from poolscope.recording.waiters import Waiter
from poolscope.sending.transport import _allowed_interval_s


class FixedReader:
    def __init__(self, used: int, limit: int | None) -> None:
        self.used = used
        self.limit = limit

    def state(self, slots: dict[object, Slot]) -> PoolState:
        return PoolState(used=self.used, idle=0)

    def configuration(self) -> PoolConfiguration:
        return PoolConfiguration("QueuePool", "sqlalchemy", max=self.limit)


def a_pool(used: int = 0, limit: int | None = 5) -> PoolStats:
    return PoolStats(PoolIdentity("orders"), FixedReader(used, limit))  # type: ignore[arg-type]


def after_a_push(stats: PoolStats) -> Pressure:
    pressure = Pressure()
    pressure.pushed([stats])
    return pressure


def test_a_calm_process_is_not_under_pressure() -> None:
    assert not Pressure().is_on([a_pool()])
    assert not after_a_push(a_pool()).is_on([a_pool()])


@pytest.mark.parametrize(
    ("used", "limit", "is_on"),
    [(4, 5, False), (5, 5, True), (6, 5, True), (5, None, False), (1, 1, False)],
)
def test_a_full_pool_is_pressure_unless_it_has_one_place(
    used: int, limit: int | None, is_on: bool
) -> None:
    assert Pressure().is_on([a_pool(used, limit)]) is is_on


def test_a_caller_that_waits_is_pressure() -> None:
    stats = a_pool()
    stats.waiting[1] = Waiter(Phase.QUEUE, 100.0, UNKNOWN_SITE, this_thread.owner, None)
    assert Pressure().is_on([stats])


@pytest.mark.parametrize("reason", [FailureReason.TIMEOUT, FailureReason.ERROR])
def test_a_failure_is_pressure_until_it_is_pushed(reason: FailureReason) -> None:
    stats = a_pool()
    pressure = after_a_push(stats)
    stats.failures[reason] += 1
    assert pressure.is_on([stats])
    pressure.pushed([stats])
    assert not pressure.is_on([stats])


def test_a_connection_that_could_not_be_opened_is_pressure_and_a_cancelled_caller_is_none() -> None:
    stats = a_pool()
    pressure = after_a_push(stats)
    stats.failures[FailureReason.CANCELLED] += 1
    assert not pressure.is_on([stats])
    stats.connect_errors[ConnectErrorKind.REFUSED] += 1
    assert pressure.is_on([stats])


@pytest.mark.parametrize(
    ("header", "interval_s"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-1", None),
        ("0", None),
        ("0.01", 1.0),
        ("1", 1.0),
        ("4.5", 4.5),
    ],
)
def test_only_a_sensible_interval_of_the_exporter_is_obeyed(
    header: str | None, interval_s: float | None
) -> None:
    assert _allowed_interval_s(header) == interval_s


@pytest.mark.parametrize("counter", ["inherited", "foreign_loop"])
def test_a_connection_in_the_wrong_place_is_pressure_until_it_is_pushed(counter: str) -> None:
    stats = a_pool()
    pressure = after_a_push(stats)
    setattr(stats, counter, 1)
    assert pressure.is_on([stats])
    pressure.pushed([stats])
    assert not pressure.is_on([stats])

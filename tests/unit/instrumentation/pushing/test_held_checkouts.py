"""What a push says of each held checkout, for the exporter alone."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from poolscope import catalogue
from poolscope.pushing.held_checkouts import HolderList
from poolscope.pushing.samples import AttributeValue, Sample, pool_samples, pressed_samples
from poolscope.recording.checkout import make_record_checkout
from poolscope.recording.leaks import LeakDetector
from poolscope.recording.pool import PoolIdentity, PoolStats, Slot
from poolscope.recording.requests import CURRENT, Request, long_lived


def taken_in(request: Request | None, *, is_declared: bool = False) -> dict[str, AttributeValue]:
    """Return what is pushed of a checkout that was taken in a request, or outside of any."""
    reader: Any = None
    stats = PoolStats(PoolIdentity("shop"), reader)
    slot = stats.slots[object] = Slot(stats)
    token = CURRENT.set(request)
    take = make_record_checkout()
    if is_declared:
        with long_lived():
            take(stats, slot, 0.0, 0.0, None, object)
    else:
        take(stats, slot, 0.0, 0.0, None, object)
    CURRENT.reset(token)
    holders = HolderList(now_s=10.0, held_after_s=1.0)
    holders.list_held(stats.identity, stats, LeakDetector())
    [sample] = [each for each in holders.held_samples() if each.metric is catalogue.CHECKOUT_AGE]
    return dict(sample.attributes)


def a_request(route: str | None) -> Request:
    request = Request()
    request.known_route = route
    return request


def unit_of(pushed: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    return {name: value for name, value in pushed.items() if name.startswith("poolscope.unit.")}


def test_a_request_is_a_unit_of_work_by_its_route() -> None:
    assert unit_of(taken_in(a_request("/orders/{id}"))) == {
        catalogue.UNIT_KIND: "request",
        catalogue.UNIT_NAME: "/orders/{id}",
    }


def test_a_request_without_a_route_has_no_name() -> None:
    assert unit_of(taken_in(a_request(None))) == {catalogue.UNIT_KIND: "request"}


@pytest.mark.parametrize("is_declared", [True, False])
def test_what_no_request_took_has_no_unit_yet(is_declared: bool) -> None:
    assert unit_of(taken_in(None, is_declared=is_declared)) == {}


def test_what_is_held_for_long_on_purpose_is_no_work_of_its_request() -> None:
    assert unit_of(taken_in(a_request("/listen"), is_declared=True)) == {}


@pytest.mark.parametrize("read", [pool_samples, pressed_samples])
def test_a_leak_that_came_back_after_the_last_scan_is_recovered_in_the_same_push(
    read: Callable[[PoolIdentity, PoolStats, LeakDetector, float], Iterator[Sample]],
) -> None:
    reader: Any = NoReader()
    stats, leaks = PoolStats(PoolIdentity("shop"), reader), LeakDetector()
    slot = stats.slots[object] = Slot(stats)
    with ThreadPoolExecutor(1) as ended:
        ended.submit(make_record_checkout(), stats, slot, 0.0, 0.0, None, object).result()
    for now_s in (100.0, 130.0):
        leaks.scan(stats.open_checkouts(), [], now_s)
    assert recovered(leaks, stats, read) == (1, 0)
    slot.out = None
    assert recovered(leaks, stats, read) == (1, 1)


def recovered(
    leaks: LeakDetector,
    stats: PoolStats,
    read: Callable[[PoolIdentity, PoolStats, LeakDetector, float], Iterator[Sample]],
) -> tuple[float, float]:
    """Return the leaks and those that came back, as of a push."""
    HolderList(now_s=10.0, held_after_s=1.0).list_held(stats.identity, stats, leaks)
    counted = {catalogue.LEAKS: 0.0, catalogue.LEAKS_RECOVERED: 0.0}
    for sample in read(stats.identity, stats, leaks, 10.0):
        if sample.metric in counted and isinstance(sample.value, int):
            counted[sample.metric] += sample.value
    return counted[catalogue.LEAKS], counted[catalogue.LEAKS_RECOVERED]


class NoReader:
    """Know nothing of a pool."""

    def state(self, _: Any) -> None:
        return None

    def configuration(self) -> None:
        return None

    def open_connection(self, _: Any) -> None:
        return None

    def is_closed(self) -> bool:
        return False

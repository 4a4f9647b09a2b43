"""A push and the log tell where a holder is now, and nothing that no look has found."""

import logging
import threading

import pytest

from poolscope import catalogue
from poolscope.app_log import HELD
from poolscope.pushing.looks.held_messages import LOGGED_AT_ONCE, HeldMessages
from poolscope.pushing.looks.sightings import now_attributes, now_sentence
from poolscope.pushing.timeouts.timeout_report import describe_exhaustion
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.exhaustion import Exhaustion, HolderThen
from poolscope.recording.requests import long_lived
from poolscope.watching.holder_looks import HolderLooks, Sighting
from poolscope.watching.positions import Position
from support.applications.holding import HeldPool


def here() -> Site:
    return Site(here.__code__, 0)


def a_sighting(call: str | None = "httpx.get", site: Site | None = None) -> Sighting:
    return Sighting(Position(site or here(), call, call or "application"), 3.0, 12)


def messages(pool: HeldPool, after_s: float, *, is_looking: bool = True) -> HeldMessages:
    looks = HolderLooks(pool.registry, dict)
    return HeldMessages(pool.registry, looks, after_s, is_looking=is_looking)


def test_a_push_has_the_line_the_call_and_the_looks() -> None:
    found = now_attributes(a_sighting(), 15.0)
    assert str(found[catalogue.NOW_FILE_PATH]).endswith("test_sightings.py")
    assert found[catalogue.NOW_FUNCTION_NAME] == "here"
    assert found[catalogue.NOW_CALL] == "httpx.get"
    assert (found[catalogue.NOW_LOOKS], found[catalogue.NOW_AGE]) == (12, 12.0)


def test_a_push_has_nothing_that_is_unknown() -> None:
    assert now_attributes(None, 15.0) == {}
    found = now_attributes(a_sighting(None, UNKNOWN_SITE), 15.0)
    assert found.keys() == {catalogue.NOW_LOOKS, catalogue.NOW_AGE}


def test_a_log_line_has_the_call_and_the_line() -> None:
    said = now_sentence(a_sighting(), 15.0)
    assert said.startswith("now waits in httpx.get at ")
    assert said.endswith(" in here, for 12.0 s")
    assert now_sentence(a_sighting(None), 15.0).startswith("now runs at ")
    assert now_sentence(None, 15.0) == ""


def test_the_report_of_a_time_out_has_what_each_holder_does() -> None:
    holder = HolderThen(7, UNKNOWN_SITE, "/orders", catalogue.OwnerKind.REQUEST, 12.0, 47)
    exhaustion = Exhaustion(3, 0, 1, (holder,), {}, ())
    report = describe_exhaustion(
        "orders", exhaustion, None, lambda _: None, now_of=lambda found: f"now in {found}"
    )
    assert report.splitlines()[-1].strip() == "now in 7"


def test_a_checkout_is_logged_once_when_it_is_old_enough(caplog: pytest.LogCaptureFixture) -> None:
    pool, taken, end = HeldPool(), threading.Event(), threading.Event()

    def holds() -> None:
        pool.take()
        taken.set()
        end.wait()

    thread = threading.Thread(target=holds)
    thread.start()
    taken.wait()
    logged = messages(pool, after_s=10.0)
    with caplog.at_level(logging.WARNING, "poolscope"):
        logged.log_held(9.9)
        assert caplog.messages == []
        logged.log_held(10.0)
        logged.log_held(11.0)
    end.set()
    thread.join()
    [said] = caplog.messages
    lines = said.splitlines()
    assert lines[0].startswith("poolscope: connection held for 10.0 s: pool=shop route=- taken at ")
    assert any(line.endswith("<locals>.holds") for line in lines[1:-1]), said
    assert lines[-1] == HELD.cure


def test_without_looks_the_message_has_no_stack(caplog: pytest.LogCaptureFixture) -> None:
    pool = HeldPool()
    pool.take()
    with caplog.at_level(logging.WARNING, "poolscope"):
        messages(pool, after_s=10.0, is_looking=False).log_held(10.0)
    [first, cure] = caplog.messages[0].splitlines()
    assert first.startswith("poolscope: connection held")
    assert cure == HELD.cure


def test_many_old_checkouts_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    pool = HeldPool()
    for _ in range(LOGGED_AT_ONCE + 3):
        pool.take()
    with caplog.at_level(logging.WARNING, "poolscope"):
        messages(pool, after_s=1.0).log_held(10.0)
    assert len(caplog.messages) == LOGGED_AT_ONCE + 1
    assert caplog.messages[-1].startswith("poolscope: 3 more connections are held as long. ")


@pytest.mark.parametrize("after_s", [0.0, 5.0])
def test_neither_declared_checkouts_nor_any_without_the_setting_are_logged(
    after_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    pool = HeldPool()
    if after_s:
        with long_lived():
            pool.take()
    else:
        pool.take()
    with caplog.at_level(logging.WARNING, "poolscope"):
        messages(pool, after_s).log_held(100.0)
    assert caplog.messages == []

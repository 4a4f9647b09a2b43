"""Greenlets are callers where their library shows them, and are never accused otherwise."""

import importlib.util
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from greenlet import getcurrent, greenlet

from poolscope.catalogue import Phase
from poolscope.pushing.log_messages import LogMessages
from poolscope.recording import tasks
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.checkout import count_nested, make_record_checkout
from poolscope.recording.leaks import LeakDetector
from poolscope.recording.pool import OpenCheckout, PoolIdentity, PoolStats, Slot
from poolscope.recording.requests import Request
from poolscope.recording.tasks import ThreadOwner, hidden_greenlets, running_owner, this_thread
from poolscope.recording.waiters import blocked_caller


class GreenletLocal:
    """Storage for each greenlet: gevent and eventlet replace `threading.local` by such a one."""

    _parts: WeakKeyDictionary[Any, dict[str, Any]]

    def __new__(cls) -> "GreenletLocal":
        self = super().__new__(cls)
        object.__setattr__(self, "_parts", WeakKeyDictionary())
        return self

    def __getattribute__(self, name: str) -> Any:
        parts = object.__getattribute__(self, "_parts")
        part = parts.get(getcurrent())
        if part is None:
            part = parts[getcurrent()] = {}
            type(self).__init__(self)
        return part[name] if name in part else object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__getattribute__(self, "_parts").setdefault(getcurrent(), {})[name] = value


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of owners as it is where it was imported after monkey patching."""
    monkeypatch.setattr(threading, "local", GreenletLocal)
    assert tasks.__file__ is not None
    spec = importlib.util.spec_from_file_location("patched_tasks", tasks.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_in_greenlet(function: Callable[[], Any]) -> Any:
    return greenlet(function).switch()


def test_each_greenlet_is_an_owner_until_it_ends(patched: ModuleType) -> None:
    owners: list[Any] = []
    main = getcurrent()

    def work() -> None:
        owners.append(patched.this_thread.owner)
        main.switch()

    several = [greenlet(work) for _ in range(3)]
    for each in several:
        each.switch()
    assert len(set(owners)) == len({*owners, patched.this_thread.owner}) - 1 == 3
    assert not any(map(patched.is_gone, owners))
    for each in several:
        each.switch()
    del several, each
    assert all(map(patched.is_gone, owners))


@pytest.mark.parametrize("hub", ["gevent.hub", "eventlet.hubs"])
def test_a_library_that_was_there_before_us_shows_its_greenlets(
    hub: str, patched: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, hub, ModuleType(hub))
    assert patched.hidden_greenlets() is None
    assert hidden_greenlets() == hub.partition(".")[0]


def test_nothing_is_hidden_where_no_greenlet_library_is_loaded() -> None:
    assert hidden_greenlets() is None


def test_greenlets_of_one_thread_are_never_nested_where_they_are_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader: Any = None
    stats = PoolStats(PoolIdentity("shop"), reader)
    slot = stats.slots["its connection"] = Slot(stats)
    run_in_greenlet(lambda: make_record_checkout()(stats, slot, 0.0, 0.0, None, object))
    stats.waiting[1] = blocked_caller(Phase.QUEUE, 0.0, UNKNOWN_SITE, running_owner())
    monkeypatch.setitem(sys.modules, "gevent.hub", ModuleType("gevent.hub"))
    run_in_greenlet(lambda: count_nested(stats, 1))
    assert stats.nested == 0


def a_checkout(owner: ThreadOwner, request: Request | None = None) -> OpenCheckout:
    return OpenCheckout(1, 0.0, UNKNOWN_SITE, request, owner, None, object)


def test_a_thread_between_two_greenlets_is_no_idle_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gevent.hub", ModuleType("gevent.hub"))
    with ThreadPoolExecutor(1) as workers:
        taken = a_checkout(workers.submit(lambda: this_thread.owner).result())
        detector = LeakDetector()
        assert detector.scan([taken], [], 100.0) == detector.scan([taken], [], 1e6) == []


@pytest.mark.parametrize("finished_at_s", [None, 0.0])
def test_an_owner_that_lives_without_a_stack_is_never_accused(finished_at_s: float | None) -> None:
    """The stacks of threads have none of greenlets: their idents are those of no thread."""
    life = tasks._Life()
    owner = ThreadOwner(life)
    owner.ident = max(sys._current_frames()) + 1
    request = None
    if finished_at_s is not None:
        request = Request()
        request.known_route, request.finished_at_s = "/orders", finished_at_s
    taken, detector = a_checkout(owner, request), LeakDetector()
    assert detector.scan([taken], [], 100.0) == detector.scan([taken], [], 1e6) == []


def test_hidden_greenlets_are_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unused: Any = None
    messages = LogMessages(unused, unused)
    messages.log_greenlets()
    assert caplog.messages == []
    monkeypatch.setitem(sys.modules, "gevent.hub", ModuleType("gevent.hub"))
    with caplog.at_level(logging.WARNING, "poolscope"):
        messages.log_greenlets()
        messages.log_greenlets()
    [message] = caplog.messages
    assert "cannot distinguish the greenlets of gevent" in message

"""A fork and a look-up of ours never happen at the same moment, and neither waits for long."""

import socket
import threading
from collections.abc import Callable

import pytest

from poolscope.sending import lookups
from poolscope.sending.lookups import Lookups

LONG_S = 30.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a thread may take seconds to run."""
    monkeypatch.setattr(lookups, "FORK_WAITS_S", LONG_S)


class Resolver:
    """Resolves a name when the test lets it."""

    def __init__(self) -> None:
        self.asked, self.may_answer = threading.Event(), threading.Event()

    def __call__(self, host: str, port: int, **_: object) -> list[object]:
        self.asked.set()
        assert self.may_answer.wait(LONG_S)
        return [host, port]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


def beside(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_fork_waits_for_a_look_up_in_progress(resolver: Resolver) -> None:
    ours, forked = Lookups(), threading.Event()
    looking = beside(lambda: ours.addresses_of("exporter", 4318))
    assert resolver.asked.wait(LONG_S)

    def fork() -> None:
        ours.before_fork()
        forked.set()

    forking = beside(fork)
    assert not forked.wait(0.05)
    resolver.may_answer.set()
    assert forked.wait(LONG_S)
    for thread in (looking, forking):
        thread.join(LONG_S)


def test_look_up_waits_for_a_fork(resolver: Resolver) -> None:
    ours = Lookups()
    resolver.may_answer.set()
    ours.before_fork()
    looking = beside(lambda: ours.addresses_of("exporter", 4318))
    assert not resolver.asked.wait(0.05)
    ours.after_fork_in_parent()
    assert resolver.asked.wait(LONG_S)
    looking.join(LONG_S)


def test_name_server_that_does_not_answer_delays_a_fork_only_for_a_moment(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "FORK_WAITS_S", 0.01)
    ours = Lookups()
    looking = beside(lambda: ours.addresses_of("exporter", 4318))
    assert resolver.asked.wait(LONG_S)
    ours.before_fork()
    resolver.may_answer.set()
    looking.join(LONG_S)


def test_child_does_not_wait_for_look_ups_of_its_parent(resolver: Resolver) -> None:
    ours = Lookups()
    looking = beside(lambda: ours.addresses_of("exporter", 4318))
    assert resolver.asked.wait(LONG_S)
    resolver.may_answer.set()
    ours.after_fork_in_child()  # as it is in the child: the thread of the parent is not there
    ours.before_fork()
    ours.after_fork_in_parent()
    looking.join(LONG_S)


def test_error_of_a_look_up_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    ours = Lookups()
    with pytest.raises(OSError, match="no such name"):
        ours.addresses_of("exporter", 4318)
    ours.before_fork()

"""The loop around a PgBouncer: what it asks, what it shows, and that it holds up nobody."""

import asyncio
import logging
from dataclasses import replace

import pytest

from poolscope_exporter import clock
from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerDatabase, BouncerLimits
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import BouncerView
from poolscope_exporter.core.model.bouncer_traffic import BouncerTraffic, LentConnections
from poolscope_exporter.core.model.pgbouncers import BouncerSample
from poolscope_exporter.pgbouncer import poller as poller_module
from poolscope_exporter.pgbouncer.console import BouncerFacts
from poolscope_exporter.pgbouncer.poller import BouncerPoller
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from support.exporter.builders import (
    BOUNCER,
    BOUNCER_END,
    LOCAL,
    a_bouncer_sample,
    a_bouncer_server,
    a_checkout,
    a_client,
    a_push,
    holding,
)

DOWN = ServerUnavailableError(Reason.REFUSED, "no way")

TRAFFIC = BouncerTraffic((LentConnections("orders", "shop", waiting=2),), ())


class FakeConsole:
    """A bouncer with one client; `failure`, while set, is what every question meets."""

    name = BOUNCER

    def __init__(self) -> None:
        self.is_connected = False
        self.failure: Exception | None = None
        self.calls: list[str] = []
        self.limits: BouncerLimits | None = BouncerLimits(100)
        self.is_queued = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def connect(self) -> None:
        await self._call("connect")
        self.is_connected = True

    async def facts(self) -> BouncerFacts:
        await self._call("facts")
        timeouts = {"server_idle_timeout": 600.0}
        return BouncerFacts("PgBouncer 1.18.0", timeouts, False, self.limits)

    async def read_traffic(self) -> BouncerTraffic:
        return TRAFFIC

    async def read_sockets(self) -> BouncerSample:
        await self._call("look")
        servers = {"s1": a_bouncer_server()}
        client = a_client(is_waiting=True) if self.is_queued else a_client("s1")
        sample = a_bouncer_sample({LOCAL: client}, servers, taken_at_s=clock.monotonic())
        return replace(sample, total_clients=1)

    async def end_poll(self) -> None:
        self.is_connected = False

    async def close(self) -> None:
        self.is_connected = False

    def lose(self) -> None:
        self.failure = DOWN

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        await self.may_answer.wait()
        if self.failure:
            raise self.failure


def a_ledger(*, is_used: bool = True) -> Correlator:
    correlator = Correlator([], bouncers={BOUNCER: frozenset({BOUNCER_END})})
    if is_used:
        push = a_push(held=(holding(a_checkout(peer=BOUNCER_END)),))
        correlator.take_push(push, clock.monotonic())
    return correlator


def a_poller(console: FakeConsole, correlator: Correlator | None = None) -> BouncerPoller:
    return BouncerPoller(console, correlator or a_ledger(), interval_s=300.0)


def view_of(poller: BouncerPoller) -> BouncerView:
    return poller.bouncer_view(clock.monotonic())


async def test_before_the_first_poll_nothing_is_known() -> None:
    view = view_of(a_poller(FakeConsole()))

    assert (view.up, view.clients, view.version, view.timeouts_s) == (False, None, None, None)


async def test_a_poll_makes_everything_known() -> None:
    poller = a_poller(FakeConsole())

    await poller.loop.poll_once()

    view = view_of(poller)
    assert (view.up, view.reason, view.version) == (True, None, "PgBouncer 1.18.0")
    assert view.clients == {"active": 1}
    assert view.timeouts_s == {"server_idle_timeout": 600.0}
    assert view.last_success_age_s is not None


async def test_settings_are_asked_for_less_often() -> None:
    console = FakeConsole()
    poller = a_poller(console)
    await poller.loop.poll_once()
    await poller.loop.poll_once()

    assert console.calls == ["connect", "facts", "look", "connect", "look"]


async def test_headroom_is_that_of_the_limits_and_gone_while_the_bouncer_is() -> None:
    console = FakeConsole()
    poller = a_poller(console)
    await poller.loop.poll_once()
    room = view_of(poller).headroom
    assert room is not None
    assert (room.tightest, room.free) == ("clients", 99)

    console.lose()
    await poller.loop.poll_once()
    assert view_of(poller).headroom is None


async def test_limits_that_are_refused_are_unknown_and_the_rest_goes_on() -> None:
    console = FakeConsole()
    console.limits = None
    poller = a_poller(console)
    await poller.loop.poll_once()
    view = view_of(poller)
    assert (view.up, view.headroom, view.paused) == (True, None, frozenset())


async def test_while_clients_wait_each_poll_asks_whether_the_bouncer_is_paused() -> None:
    console = FakeConsole()
    console.is_queued = True
    poller = a_poller(console)
    await poller.loop.poll_once()
    console.limits = BouncerLimits(100, {"orders": BouncerDatabase(2, is_paused=True)})
    await poller.loop.poll_once()
    assert console.calls == ["connect", "facts", "look", "connect", "facts", "look"]
    assert view_of(poller).paused == {"orders"}


async def test_a_bouncer_that_is_lost_knows_no_numbers_any_more_and_may_be_another_later() -> None:
    console, correlator = FakeConsole(), a_ledger()
    poller = a_poller(console, correlator)
    await poller.loop.poll_once()
    console.lose()
    await poller.loop.poll_once()

    view = view_of(poller)
    assert (view.up, view.reason, view.clients) == (False, "refused: no way", None)
    assert poller.poll_report(0.0, 0.0).failures["refused"] == 1
    [known] = correlator.situation(clock.monotonic(), [], [view]).bouncers
    assert known.known is not None
    assert known.known.sample is None

    console.failure = None
    console.calls.clear()
    await poller.loop.poll_once()
    assert console.calls == ["connect", "facts", "look"]


async def test_between_two_polls_no_console_is_open_and_no_data_is_lost() -> None:
    console, correlator = FakeConsole(), a_ledger()
    poller = a_poller(console, correlator)
    await poller.loop.poll_once()
    assert not console.is_connected
    console.may_answer.clear()

    again = asyncio.create_task(poller.loop.poll_once())
    while console.calls.count("connect") == 1:  # noqa: ASYNC110 - each turn lets the poll go on
        await asyncio.sleep(0)

    [known] = correlator.situation(clock.monotonic(), [], []).bouncers
    assert known.known is not None
    assert known.known.sample is not None
    assert view_of(poller).up
    console.may_answer.set()
    await again
    assert console.calls == ["connect", "facts", "look", "connect", "look"]


async def test_an_error_of_ours_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    console = FakeConsole()
    console.failure = ZeroDivisionError()
    poller = a_poller(console)

    await poller.loop.poll_once()

    assert poller.poll_report(0.0, 0.0).failures["other"] == 1
    assert "failed with an internal error; please report it" in caplog.text


async def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    console = FakeConsole()
    poller = a_poller(console)
    for failure in (None, None, DOWN, DOWN, None):
        console.failure = failure
        await poller.loop.poll_once()

    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "PgBouncer bouncer answers",
        "PgBouncer bouncer does not answer",
        "PgBouncer bouncer answers",
    ]


async def run_while(poller: BouncerPoller, console: FakeConsole) -> None:
    """Refresh the bouncer twice while its loop runs, then end the loop."""
    stop = asyncio.Event()
    running = asyncio.create_task(poller.loop.run(stop))
    async with asyncio.timeout(60):
        await poller.refresh()
        await poller.refresh()
        stop.set()
        await running
    assert not console.is_connected


async def test_a_refresh_brings_a_sample_long_before_the_interval_is_over() -> None:
    console = FakeConsole()

    await run_while(a_poller(console), console)

    assert console.calls.count("look") == 2


async def test_a_bouncer_that_nobody_goes_through_is_not_asked_out_of_turn() -> None:
    console = FakeConsole()
    poller = a_poller(console, a_ledger(is_used=False))
    await poller.loop.poll_once()

    await poller.refresh()

    assert not poller.loop._wake.is_set()


async def test_a_bouncer_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller_module, "REFRESH_S", 0.01)
    console = FakeConsole()
    console.may_answer.clear()

    async with asyncio.timeout(60):
        await a_poller(console).refresh()


async def test_a_bouncer_that_failed_is_left_to_its_own_loop() -> None:
    console = FakeConsole()
    poller = a_poller(console)
    console.failure = DOWN
    await poller.loop.poll_once()

    await poller.refresh()

    assert not poller.loop._wake.is_set()


async def test_the_use_by_database_and_user_is_known_while_the_pgbouncer_answers() -> None:
    console = FakeConsole()
    poller = a_poller(console)
    assert view_of(poller).traffic is None

    await poller.loop.poll_once()
    assert view_of(poller).traffic == TRAFFIC

    console.failure = DOWN
    await poller.loop.poll_once()
    assert view_of(poller).traffic is None

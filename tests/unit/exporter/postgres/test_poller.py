"""The poll loop: what it asks, what it shows, and that nothing ends it."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from poolscope_exporter import clock
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.model.lock_waits import LockWaits
from poolscope_exporter.core.model.servers import (
    ConfiguredServer,
    Privilege,
    ServerLimits,
    ServerRole,
)
from poolscope_exporter.core.model.session_groups import SessionGroup
from poolscope_exporter.core.model.sessions import Census, Session, SessionSample
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.postgres import poller as poller_module
from poolscope_exporter.postgres.poller import Poller
from poolscope_exporter.postgres.rows import GroupsAnswer, Survey
from poolscope_exporter.postgres.server import Arrival
from support.exporter.builders import (
    BOUNCER,
    BOUNCER_END,
    LOCAL,
    PID,
    a_bouncer_sample,
    a_bouncer_server,
    a_checkout,
    a_client,
    a_push,
    a_sample,
    a_server,
    a_session,
    holding,
)

DOWN = ServerUnavailableError(Reason.REFUSED, "no way")


REPLICA = ConfiguredServer("main", expects="replica")


class FakeServer:
    """A server of one session; `failure`, while set, is what every question meets."""

    name = "main"

    def __init__(self, privilege: Privilege = Privilege.FULL) -> None:
        self.is_connected = False
        self.failure: Exception | None = None
        self.refused: set[str] = set()
        self.asked: list[list[int]] = []
        self.calls: list[str] = []
        self._called: asyncio.Queue[str] = asyncio.Queue()
        self.found_limits: ServerLimits | None = ServerLimits(100, 3, 0)
        self.has_census = True
        self.census_of: tuple[Session, ...] = ()
        self.is_replica = False
        self.found = a_session()
        self.lock_waiters = 0
        self.arrival = Arrival(a_server(privilege=privilege), "18.4", True, False)

    async def connect(self) -> None:
        self._call("connect")
        self.is_connected = True

    async def identify(self) -> Arrival:
        self._call("identify")
        return replace(
            self.arrival, identity=replace(self.arrival.identity, in_recovery=self.is_replica)
        )

    async def in_recovery(self) -> bool:
        self._call("in_recovery")
        return self.is_replica

    async def read_limits(self) -> ServerLimits | None:
        self._call("limits")
        return self.found_limits

    async def look_up(self, pids: Sequence[int]) -> SessionSample:
        self._call("look")
        self.asked.append(list(pids))
        sample = a_sample(self.found, taken_at_s=clock.monotonic())
        return replace(sample, asked=frozenset(pids))

    async def lock_waits(self) -> LockWaits:
        self._call("lock_waits")
        return LockWaits("main", clock.monotonic(), {PID: (99,), 99: ()}, {}, 1)

    async def census(self, addresses: Collection[str]) -> Census | None:
        self._call("census")
        return Census("main", clock.monotonic(), self.census_of) if self.has_census else None

    async def survey(self) -> Survey:
        self._call("survey")
        return Survey(
            7,
            {"idle": 7},
            by_owner={("shop", "orders"): 7},
            active_on_cpu=2,
            lock_waiters=self.lock_waiters,
        )

    async def session_groups(self) -> GroupsAnswer:
        self._call("groups")
        return GroupsAnswer((SessionGroup("shop", "orders", "shop", "10.0.0.7", 6),), 7, 0)

    async def end_poll(self) -> None:
        """Keep the connection."""

    async def close(self) -> None:
        self.is_connected = False

    def lose(self) -> None:
        self.is_connected = False
        self.failure = DOWN

    async def until(self, name: str) -> None:
        """Wait until this is called the next time."""
        async with asyncio.timeout(60):
            while await self._called.get() != name:
                pass

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self._called.put_nowait(name)
        if self.failure:
            raise self.failure
        if name in self.refused:
            raise ServerUnavailableError(Reason.TIMEOUT, "canceling statement due to lock timeout")


def a_poller(
    server: FakeServer, correlator: Correlator | None = None, interval_s: float = 5.0
) -> Poller:
    return Poller(server, correlator or Correlator([ConfiguredServer("main")]), interval_s)


def view_of(poller: Poller) -> ServerView:
    return poller.server_view(clock.monotonic())


async def test_the_slots_of_a_managed_service_are_no_room() -> None:
    managed = ConfiguredServer("main", reserved_slots=10)
    poller = Poller(FakeServer(), Correlator([managed]), 5.0, configured=managed)

    await poller.loop.poll_once()

    view = view_of(poller)
    assert view.limits is not None
    assert view.headroom is not None
    assert (view.limits.usable, view.headroom.free) == (87, 80)


async def test_a_sidecar_looks_for_no_orphans() -> None:
    server = FakeServer()
    correlator = Correlator([ConfiguredServer("main")])
    correlator.orphans.client_addresses = lambda _: frozenset({"10.0.0.7"})  # type: ignore[method-assign, assignment]
    await Poller(server, correlator, 5.0, counts_orphans=False).loop.poll_once()
    assert not {"census", "groups"} & set(server.calls)

    await Poller(server, correlator, 5.0).loop.poll_once()
    assert {"census", "groups"} <= set(server.calls)


async def test_before_the_first_poll_nothing_is_known() -> None:
    view = view_of(a_poller(FakeServer()))

    assert (view.up, view.identity, view.limits, view.connections) == (False, None, None, None)
    assert view.last_success_age_s is None


async def test_a_poll_makes_everything_known() -> None:
    poller = a_poller(FakeServer())

    await poller.loop.poll_once()

    view = view_of(poller)
    assert (view.up, view.reason, view.connections) == (True, None, {"idle": 7})
    assert view.headroom is not None
    assert view.headroom.free == 90
    assert view.active_on_cpu == 2
    assert view.last_success_age_s is not None


async def test_a_poll_names_the_holders_of_the_sessions() -> None:
    poller = a_poller(FakeServer())
    await poller.loop.poll_once()

    view = view_of(poller)
    assert view.owners is not None
    assert view.session_groups is not None
    assert (view.owners.counts, view.owners.others) == (((("shop", "orders"), 7),), 0)
    assert [group.client_address for group in view.session_groups.groups] == ["10.0.0.7"]
    assert view.session_groups.others == 1


async def test_roles_that_may_not_be_shown_have_no_name_but_count() -> None:
    main = ConfiguredServer("main", shown_roles=frozenset({"billing"}))
    poller = Poller(FakeServer(), Correlator([main]), 5.0, configured=main)
    await poller.loop.poll_once()

    view = view_of(poller)
    assert view.owners is not None
    assert view.session_groups is not None
    assert (view.owners.counts, view.owners.others) == ((), 7)
    assert (view.session_groups.groups, view.session_groups.others) == ((), 7)


@pytest.mark.parametrize("refused", ["survey", "groups"])
async def test_sessions_that_cannot_be_listed_are_unknown_and_not_none(refused: str) -> None:
    server = FakeServer()
    server.refused = {refused}
    poller = a_poller(server)
    await poller.loop.poll_once()

    view = view_of(poller)
    assert view.up
    assert (view.owners is None, view.session_groups is None) == (
        refused == "survey",
        refused == "groups",
    )


async def test_suspects_are_asked_for_on_the_very_first_poll() -> None:
    server, correlator = FakeServer(), Correlator([ConfiguredServer("main")])
    correlator.take_push(a_push(held=(holding(a_checkout()),)), clock.monotonic())

    await a_poller(server, correlator).loop.poll_once()

    assert server.asked == [[PID]]


async def test_what_costs_more_is_asked_less_often() -> None:
    server = FakeServer()
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.calls.clear()

    await poller.loop.poll_once()

    assert server.calls == ["in_recovery", "look"]


async def test_orphans_are_looked_for_once_a_process_was_linked() -> None:
    server, correlator = FakeServer(), Correlator([ConfiguredServer("main")])
    poller = a_poller(server, correlator)
    await poller.loop.poll_once()
    assert "census" not in server.calls
    assert correlator.orphans.count_by_service("main") is None

    correlator.take_push(a_push(held=(holding(a_checkout()),)), clock.monotonic())
    await poller.loop.poll_once()
    poller._census_due_s = 0.0
    await poller.loop.poll_once()

    assert server.calls.count("census") == 1
    assert correlator.orphans.count_by_service("main") == {("acme", "shop"): 0}


async def test_orphans_are_unknown_where_the_server_refuses_to_list_sessions() -> None:
    server, correlator = FakeServer(), Correlator([ConfiguredServer("main")])
    server.has_census = False
    correlator.take_push(a_push(held=(holding(a_checkout()),)), clock.monotonic())

    await a_poller(server, correlator).loop.poll_once()

    assert "census" in server.calls
    assert correlator.orphans.count_by_service("main") is None


async def test_a_server_that_is_lost_knows_no_numbers_any_more() -> None:
    server = FakeServer()
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.lose()
    await poller.loop.poll_once()

    view = view_of(poller)
    assert (view.up, view.reason) == (False, "refused: no way")
    assert (view.limits, view.connections, view.headroom) == (None, None, None)
    assert (view.active_on_cpu, view.owners, view.session_groups) == (None, None, None)
    assert view.identity is not None
    assert poller.poll_report(0.0, 0.0).failures["refused"] == 1


async def test_a_server_that_comes_back_is_asked_for_everything_anew() -> None:
    server = FakeServer()
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.lose()
    await poller.loop.poll_once()
    server.failure = None
    server.calls.clear()

    await poller.loop.poll_once()

    assert server.calls == ["connect", "identify", "limits", "look", "survey"]
    assert view_of(poller).up


async def test_a_failed_statement_keeps_the_connection() -> None:
    server = FakeServer()
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.failure = ServerUnavailableError(Reason.TIMEOUT, "canceling statement")
    await poller.loop.poll_once()
    server.failure = None
    server.calls.clear()

    await poller.loop.poll_once()

    assert "connect" not in server.calls
    assert view_of(poller).up


class FakeBouncer:
    """A bouncer that knows the session behind a checkout once it is asked."""

    def __init__(self, correlator: Correlator) -> None:
        self._correlator = correlator

    async def refresh(self) -> None:
        servers = {"s1": a_bouncer_server()}
        sample = a_bouncer_sample({LOCAL: a_client("s1")}, servers, taken_at_s=clock.monotonic())
        self._correlator.take_bouncer_sample(sample, clock.monotonic())


async def test_bouncers_are_asked_before_the_server_so_that_it_is_asked_for_their_pids() -> None:
    server = FakeServer()
    correlator = Correlator(
        [ConfiguredServer("main")], bouncers={BOUNCER: frozenset({BOUNCER_END})}
    )
    through = a_checkout(peer=BOUNCER_END, backend_pid=1_022_840_197)
    correlator.take_push(a_push(held=(holding(through),)), clock.monotonic())

    await Poller(server, correlator, 5.0, [FakeBouncer(correlator)]).loop.poll_once()

    assert server.asked == [[PID]]


async def test_limits_that_are_refused_leave_the_rest() -> None:
    server = FakeServer()
    server.found_limits = None
    poller = a_poller(server)

    await poller.loop.poll_once()

    view = view_of(poller)
    assert (view.up, view.limits, view.headroom) == (True, None, None)
    assert view.connections == {"idle": 7}


async def test_an_error_of_ours_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()
    server.failure = ZeroDivisionError()
    poller = a_poller(server)

    await poller.loop.poll_once()

    assert poller.poll_report(0.0, 0.0).failures["other"] == 1
    assert "failed with an internal error; please report it" in caplog.text


async def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = FakeServer()
    poller = a_poller(server)
    for failure in (None, None, DOWN, DOWN, None):
        server.failure = failure
        await poller.loop.poll_once()

    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "server main answers",
        "server main does not answer",
        "server main answers",
    ]


async def test_a_role_that_sees_little_is_told_what_to_grant(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await a_poller(FakeServer(Privilege.OWN)).loop.poll_once()

    assert "GRANT pg_read_all_stats TO poolscope" in caplog.text


async def test_fresh_suspects_are_looked_up_long_before_the_interval_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller_module, "FRESH_SUSPECTS_S", 0.0)
    server, stop = FakeServer(), asyncio.Event()
    poller = a_poller(server, interval_s=300.0)
    running = asyncio.create_task(poller.loop.run(stop))
    await server.until("look")

    poller.loop.wake()
    await server.until("look")

    stop.set()
    await running
    assert not server.is_connected


async def test_the_loop_ends_at_once_while_it_waits_for_a_failing_server() -> None:
    server, stop = FakeServer(), asyncio.Event()
    server.failure = DOWN
    running = asyncio.create_task(a_poller(server, interval_s=300.0).loop.run(stop))
    await server.until("connect")

    stop.set()

    async with asyncio.timeout(60):
        await running


async def test_a_server_in_another_role_than_expected_is_told_and_left() -> None:
    server, correlator = FakeServer(), Correlator([ConfiguredServer("main")])
    poller = Poller(server, correlator, 5.0, configured=REPLICA)

    await poller.loop.poll_once()

    view = view_of(poller)
    assert (view.up, view.place) == (False, ServerRole.PRIMARY)
    assert view.reason == "wrong_role: a primary answers where a replica is expected"
    assert not server.is_connected
    assert "look" not in server.calls
    assert correlator.situation(clock.monotonic(), [view]).servers[0].identity is None

    server.is_replica = True
    await poller.loop.poll_once()
    assert (view_of(poller).up, view_of(poller).place) == (True, ServerRole.REPLICA)


async def test_a_replica_that_is_promoted_under_us_is_identified_anew() -> None:
    server = FakeServer()
    server.is_replica = True
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.is_replica = False
    server.calls.clear()

    await poller.loop.poll_once()

    assert server.calls == ["in_recovery", "identify", "limits", "look"]
    assert view_of(poller).place is ServerRole.PRIMARY
    assert poller.poll_report(0.0, 0.0).changes == {"replaced": 0, "promoted": 1}


async def test_a_replica_that_is_expected_and_promoted_is_left() -> None:
    server = FakeServer()
    server.is_replica = True
    poller = Poller(server, Correlator([REPLICA]), 5.0, configured=REPLICA)
    await poller.loop.poll_once()
    server.is_replica = False

    await poller.loop.poll_once()

    assert view_of(poller).reason == "wrong_role: a primary answers where a replica is expected"
    assert not server.is_connected


async def test_facts_that_cannot_be_read_again_hold_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller_module, "FACTS_S", 0.0)
    monkeypatch.setattr(poller_module, "FACTS_RETRY_S", 0.0)
    server = FakeServer()
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.refused = {"identify", "limits"}

    await poller.loop.poll_once()

    assert view_of(poller).up
    assert view_of(poller).limits is not None
    tiers = poller.poll_report(0.0, 0.0).tiers
    assert tiers is not None
    assert (tiers.missed["facts"], tiers.missed["suspects"]) == (1, 0)

    monkeypatch.setattr(poller_module, "FACTS_STALE_S", 0.0)
    await poller.loop.poll_once()
    assert (view_of(poller).up, view_of(poller).limits) == (True, None)


async def test_facts_that_cannot_be_read_on_a_new_connection_are_a_failure() -> None:
    server = FakeServer()
    poller = a_poller(server)
    server.refused = {"identify"}

    await poller.loop.poll_once()
    await poller.loop.poll_once()

    assert not view_of(poller).up
    assert "look" not in server.calls


async def test_a_survey_that_is_refused_costs_the_counts_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller_module, "SURVEY_S", 0.0)
    server = FakeServer()
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.refused = {"survey"}

    await poller.loop.poll_once()

    view = view_of(poller)
    assert (view.up, view.connections, view.headroom) == (True, None, None)


@pytest.mark.parametrize(
    ("reason", "is_full"),
    [
        (Reason.TOO_MANY_CONNECTIONS, True),
        (Reason.RESERVED_SLOTS, True),
        (Reason.ROLE_LIMIT, False),
        (Reason.DATABASE_LIMIT, False),
        (Reason.REFUSED, False),
    ],
)
async def test_a_server_that_turns_us_away_for_want_of_slots_is_full(
    reason: Reason, is_full: bool
) -> None:
    server = FakeServer()
    server.failure = ServerUnavailableError(reason, "no")
    poller = a_poller(server)

    await poller.loop.poll_once()

    assert view_of(poller).is_full is is_full


async def test_our_own_connection_is_counted() -> None:
    server = FakeServer()
    poller = a_poller(server)
    assert poller.poll_report(0.0, 0.0).connections == 0
    await poller.loop.poll_once()
    assert poller.poll_report(0.0, 0.0).connections == 1


@pytest.mark.parametrize(
    ("wait_event_type", "lock_waiters", "is_asked"),
    [("Lock", 0, True), (None, 1, True), (None, 0, False), ("Client", 0, False)],
)
async def test_lock_waits_are_queried_only_if_a_session_is_known_to_wait(
    wait_event_type: str | None, lock_waiters: int, *, is_asked: bool
) -> None:
    server = FakeServer()
    server.found, server.lock_waiters = a_session(wait_event_type=wait_event_type), lock_waiters
    poller = a_poller(server)
    await poller.loop.poll_once()
    server.calls.clear()

    await poller.loop.poll_once()

    assert ("lock_waits" in server.calls) is is_asked
    found = view_of(poller).lock_waits
    assert (found.waits if found else None) == ({PID: (99,), 99: ()} if is_asked else None)


async def test_lock_waits_are_unknown_where_the_server_refuses_them_or_is_down() -> None:
    server = FakeServer()
    server.found = a_session(wait_event_type="Lock")
    poller = a_poller(server)
    await poller.loop.poll_once()
    assert view_of(poller).lock_waits is not None

    server.refused = {"lock_waits"}
    await poller.loop.poll_once()
    assert (view_of(poller).up, view_of(poller).lock_waits) == (True, None)

    server.refused = set()
    await poller.loop.poll_once()
    server.lose()
    await poller.loop.poll_once()
    assert view_of(poller).lock_waits is None


async def test_lock_waits_end_with_the_wait() -> None:
    server = FakeServer()
    server.found = a_session(wait_event_type="Lock")
    poller = a_poller(server)
    await poller.loop.poll_once()

    server.found = a_session()
    await poller.loop.poll_once()

    assert view_of(poller).lock_waits is None

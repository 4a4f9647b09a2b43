"""Pushes and samples, in the order they come in, lead to the verdicts they justify."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope.catalogue import Evidence
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.judging.views import BouncerView, ServerView
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerClient, BouncerServer
from poolscope_exporter.core.model.pushes import HistogramValue
from poolscope_exporter.core.model.servers import Change, ConfiguredServer
from poolscope_exporter.core.model.sessions import SessionSample, SessionState
from poolscope_exporter.core.own_metrics import (
    HELD_IDLE_TIME,
    HELD_IN_TRANSACTION_TIME,
    HELD_SEEN_TIME,
)
from support.exporter.builders import (
    BACKEND_START_S,
    BOUNCER,
    BOUNCER_END,
    LOCAL,
    PEER,
    PID,
    SERVER,
    a_bouncer_sample,
    a_bouncer_server,
    a_checkout,
    a_client,
    a_point,
    a_push,
    a_sample,
    a_server,
    a_session,
    holding,
    pool_points,
)

MAIN = ConfiguredServer(SERVER)
UP = ServerView(SERVER, up=True)
ASKED = BouncerView(BOUNCER, up=True)
IN_TRANSACTION = a_session(state=SessionState.IDLE_IN_TRANSACTION)


class Story:
    """A correlator with one server and a bouncer, told what happens second by second."""

    def __init__(self) -> None:
        self.correlator = Correlator([MAIN], bouncers={BOUNCER: frozenset({BOUNCER_END})})
        self.correlator.server_up(a_server())
        self._sequence = 0

    def push(
        self,
        now_s: float,
        *checkouts: Checkout,
        start_ns: int = 1_000,
        used: int = 1,
        ended: Mapping[int, float] | None = None,
    ) -> None:
        self._sequence += 1
        # Ten more uses of 1.5 s each have ended at each push.
        uses = HistogramValue((2.0,), (10 * self._sequence, 0), 15.0 * self._sequence)
        points = (
            *pool_points(used=used, pending=2 if used > 1 else 0),
            a_point(catalogue.USE_TIME, uses),
        )
        resource = {catalogue.PROCESS_PID: str(start_ns)}
        held = (holding(*checkouts, pool=a_checkout().pool),)
        push = a_push(*points, sequence=self._sequence, held=held, resource=resource, ended=ended)
        assert self.correlator.take_push(push, now_s).accepted

    def poll(self, sample: SessionSample) -> None:
        self.correlator.take_sample(sample, a_server(), sample.taken_at_s)

    def ask_bouncer(
        self,
        now_s: float,
        client: BouncerClient | None,
        connection: BouncerServer | None = None,
    ) -> None:
        clients = {LOCAL: client} if client else {}
        servers = {"s1": connection or a_bouncer_server()}
        sample = a_bouncer_sample(clients, servers, taken_at_s=now_s)
        self.correlator.take_bouncer_sample(sample, now_s)

    def diagnosis(self, now_s: float) -> tuple[Diagnosis, bool]:
        [pool] = self.correlator.situation(now_s, [UP], [ASKED]).pools
        return pool.diagnosis.diagnosis, pool.diagnosis.is_probable

    def judgement(self, now_s: float, view: ServerView = UP) -> Judgement:
        [judgement] = self.correlator.situation(now_s, [view], [ASKED]).judgements
        return judgement

    def verdict(self, now_s: float) -> Verdict:
        return self.judgement(now_s).verdict


def held(now_s: float, **described: object) -> Checkout:
    """Return the checkout that began at 90 s, as pushed at `now_s`."""
    ages = {"age_s": now_s - 90.0, "connection_age_s": now_s - 40.0}
    return a_checkout(**(ages | described))  # type: ignore[arg-type]


def test_sample_counts_once_a_later_push_shows_the_checkout_still_held() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    assert story.verdict(100.0) is Verdict.UNCONFIRMED
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=102.0))
    assert story.verdict(102.0) is Verdict.UNCONFIRMED
    story.push(105.0, held(105.0))
    assert story.verdict(105.0) is Verdict.IDLE_IN_TRANSACTION


def test_sample_just_before_a_push_waits_for_the_next() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=104.5))
    story.push(105.0, held(105.0))
    assert story.verdict(105.0) is Verdict.UNCONFIRMED
    story.push(110.0, held(110.0))
    assert story.verdict(110.0) is Verdict.IDLE_IN_TRANSACTION


def test_sample_of_the_checkout_before_never_counts_for_the_next_on_its_connection() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=102.0))
    story.push(105.0, a_checkout(2, age_s=1.5))
    assert story.judgement(105.0).link == NoLink(Unlinked.NOT_SAMPLED, SERVER)


def test_sample_of_a_hold_that_is_over_before_the_next_push_counts_for_its_pool() -> None:
    story = Story()
    slow = a_session(state=SessionState.ACTIVE, query_age_s=1.2)
    for at_s in (100.0, 101.0):
        story.push(at_s, a_checkout(int(at_s), age_s=1.0), used=15, ended={int(at_s) - 1: 0.4})
        story.poll(a_sample(slow, taken_at_s=at_s + 0.2))
    assert story.diagnosis(101.2) == (Diagnosis.SLOW_QUERIES, False)


@pytest.mark.parametrize("ended", [{}, {100: 0.9}, {999: 0.4}])
def test_sample_after_the_end_or_of_a_checkout_that_nobody_listed_counts_for_nothing(
    ended: dict[int, float],
) -> None:
    story = Story()
    slow = a_session(state=SessionState.ACTIVE, query_age_s=1.2)
    story.push(100.0, a_checkout(100, age_s=1.0), used=15)
    story.poll(a_sample(slow, taken_at_s=100.2))
    story.push(101.0, used=15, ended=ended)
    assert story.diagnosis(101.2) == (Diagnosis.FULL, False)


@pytest.mark.parametrize(("began_s", "counts"), [(101.99, True), (102.0, True), (102.01, False)])
def test_sample_from_before_the_checkout_began_is_not_about_it(
    began_s: float, counts: bool
) -> None:
    story = Story()
    story.push(105.0, a_checkout(age_s=105.0 - began_s, connection_age_s=65.0))
    # The poll was sent before the push came, and answered after it.
    story.correlator.take_sample(a_sample(IN_TRANSACTION, taken_at_s=102.0), a_server(), 105.1)
    story.push(110.0, a_checkout(age_s=110.0 - began_s, connection_age_s=70.0))
    assert story.judgement(110.0).confirmed is counts


def test_leak_is_told_with_the_session_behind_it() -> None:
    story = Story()
    evidence = Evidence.REQUEST_FINISHED
    story.push(100.0, held(100.0, evidence=evidence))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.0))
    story.push(105.0, held(105.0, evidence=evidence))
    found = story.judgement(105.0)
    assert (found.verdict, found.evidence, found.confirmed) == (Verdict.LEAKED, evidence, True)


def test_session_that_vanishes_under_a_checkout_is_lost() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(a_session(), taken_at_s=101.0))
    story.push(105.0, held(105.0))
    story.poll(a_sample(asked=[PID], taken_at_s=106.0))
    assert story.verdict(106.0) is Verdict.HELD_IDLE
    story.push(110.0, held(110.0))
    assert story.verdict(110.0) is Verdict.LOST


def test_session_that_was_never_there_is_unknown() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(asked=[PID], taken_at_s=101.0))
    story.push(105.0, held(105.0))
    found = story.judgement(105.0)
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, "no_row")


def test_pid_that_comes_round_is_a_broken_link_and_never_a_wrong_one() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(a_session(), taken_at_s=101.0))
    story.push(105.0, held(105.0))
    # Even the address matches: only the session's start tells it from the one before.
    story.poll(a_sample(a_session(backend_start_s=BACKEND_START_S + 60), taken_at_s=106.0))
    story.push(110.0, held(110.0))
    found = story.judgement(110.0)
    assert (found.verdict, found.reason) == (Verdict.LOST, "pid_reused")


def test_pid_that_was_not_asked_for_leaves_what_was_known() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.0))
    story.poll(a_sample(asked=[PID + 1], taken_at_s=103.0))
    story.push(105.0, held(105.0))
    assert story.verdict(105.0) is Verdict.IDLE_IN_TRANSACTION


def test_server_that_is_down_makes_its_checkouts_unknown_until_it_is_back() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(a_session(), taken_at_s=101.0))
    story.push(105.0, held(105.0))
    story.correlator.server_down(SERVER)
    found = story.judgement(106.0)
    assert found.link == NoLink(Unlinked.SERVER_DOWN, SERVER)
    story.poll(a_sample(a_session(), taken_at_s=107.0))
    assert story.verdict(107.0) is Verdict.HELD_IDLE


def test_server_that_went_down_is_remembered_by_who_it_was() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.correlator.server_down(SERVER)
    [view] = story.correlator.situation(101.0, [ServerView(SERVER, up=False)]).servers
    assert view.identity == a_server()


def test_configured_server_that_nobody_speaks_of_is_told_as_not_up() -> None:
    situation = Correlator([MAIN]).situation(100.0, [])
    assert [(view.server, view.up) for view in situation.servers] == [(SERVER, False)]


@pytest.mark.parametrize("views", [[], [UP], [ServerView(SERVER, up=False)]])
def test_configured_cpus_are_shown_whether_the_server_is_up_or_not(
    views: list[ServerView],
) -> None:
    correlator = Correlator([ConfiguredServer(SERVER, cpus=16.0)])
    [view] = correlator.situation(100.0, views).servers
    assert view.cpus == 16.0


def test_without_servers_the_evidence_stands_alone() -> None:
    correlator = Correlator([])
    leak = a_checkout(evidence=Evidence.TASK_FINISHED)
    correlator.take_push(a_push(held=(holding(leak),)), 100.0)
    [found] = correlator.situation(100.0, []).judgements
    assert (found.verdict, found.reason) == (Verdict.LEAKED, "no_server")
    assert correlator.suspects(SERVER, 100.0) == []


def test_suspects_are_known_once_the_server_is() -> None:
    correlator = Correlator([MAIN])
    correlator.take_push(a_push(held=(holding(a_checkout()),)), 100.0)
    assert correlator.suspects(SERVER, 100.0) == []
    correlator.server_up(a_server())
    assert correlator.suspects(SERVER, 100.0) == [PID]


def test_sample_of_one_server_is_not_about_the_checkouts_of_another() -> None:
    correlator = Correlator([ConfiguredServer("other"), MAIN])
    other = a_server("other", Endpoint("192.0.2.1", 5432))
    correlator.server_up(a_server())
    correlator.take_push(a_push(held=(holding(held(100.0)),)), 100.0)
    correlator.take_sample(a_sample(a_session(), server="other", taken_at_s=101.0), other, 101.0)
    correlator.take_push(a_push(sequence=2, held=(holding(held(105.0)),)), 105.0)
    views = [ServerView("other", up=True), UP]
    [found] = correlator.situation(105.0, views).judgements
    assert found.link == NoLink(Unlinked.NOT_SAMPLED, SERVER)


def test_returned_checkout_leaves_nothing_behind() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(a_session(), taken_at_s=101.0))
    story.push(105.0)
    story.poll(a_sample(taken_at_s=106.0))
    assert story.correlator.situation(106.0, [UP]).judgements == ()
    assert not story.correlator.confirmations._records
    assert not story.correlator.confirmations.link_history._pins


def test_checkout_of_a_restarted_process_is_not_the_one_with_the_same_id_before() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.0))
    story.push(105.0, held(105.0), start_ns=2_000)
    assert story.judgement(105.0).link == NoLink(Unlinked.NOT_SAMPLED, SERVER)


def test_push_that_was_overtaken_confirms_nothing() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.0))
    late = a_push(
        sequence=1, held=(holding(held(105.0)),), resource={catalogue.PROCESS_PID: "1000"}
    )
    assert not story.correlator.take_push(late, 105.0).accepted
    assert story.verdict(105.0) is Verdict.UNCONFIRMED


def test_list_that_a_push_leaves_out_is_not_confirmed_by_it() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.0))
    silent = a_push(sequence=2, resource={catalogue.PROCESS_PID: "1000"})
    assert story.correlator.take_push(silent, 105.0).accepted
    assert story.verdict(105.0) is Verdict.UNCONFIRMED


INVENTED = 1_022_840_197


def behind(now_s: float, **described: object) -> Checkout:
    """Return the checkout that began at 90 s and goes through the bouncer."""
    return held(now_s, **{"peer": BOUNCER_END, "backend_pid": INVENTED, **described})


def test_session_behind_a_bouncer_is_asked_for_by_the_pid_that_the_bouncer_knows() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    assert story.correlator.suspects(SERVER, 100.0) == []
    story.ask_bouncer(101.0, a_client("s1"))
    assert story.correlator.suspects(SERVER, 101.0) == [PID]


def test_session_behind_a_bouncer_counts_once_a_later_push_confirms_it() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, a_client("s1"))
    assert story.verdict(101.0) is Verdict.UNCONFIRMED
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.1))
    assert story.verdict(101.1) is Verdict.UNCONFIRMED
    story.push(105.0, behind(105.0))
    found = story.judgement(105.0)
    assert (found.verdict, found.confirmed) == (Verdict.IDLE_IN_TRANSACTION, True)
    assert isinstance(found.link, Link)
    assert found.link.level is LinkLevel.PGBOUNCER


def test_idle_time_behind_a_bouncer_counts_and_its_sessions_are_nobodys_orphans() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, a_client("s1"))
    story.poll(a_sample(replace(IN_TRANSACTION, state_age_s=1.0), taken_at_s=101.1))
    story.push(105.0, behind(105.0))
    found = {total.metric: total.value for total in story.correlator.held_time.totals.totals()}
    assert found[HELD_IDLE_TIME.name] == pytest.approx(1.0)
    assert not story.correlator.orphans.client_addresses(SERVER)


def test_client_that_the_bouncer_lends_nothing_is_held_outside_of_a_transaction() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, a_client())
    story.ask_bouncer(106.0, a_client())  # a second of these five is the grain of its clock
    story.push(110.0, behind(110.0))
    found = {total.metric: total.value for total in story.correlator.held_time.totals.totals()}
    assert found == {
        HELD_IN_TRANSACTION_TIME.name: 0.0,
        HELD_SEEN_TIME.name: pytest.approx(4.0),
    }


def test_pid_that_looks_valid_and_is_another_session_is_never_looked_at_behind_a_bouncer() -> None:
    story = Story()
    story.push(100.0, behind(100.0, backend_pid=90))
    story.ask_bouncer(101.0, a_client("s1"))
    assert story.correlator.suspects(SERVER, 101.0) == [PID]
    stranger = a_session(90, state=SessionState.ACTIVE, query_age_s=60.0)
    story.poll(a_sample(stranger, IN_TRANSACTION, taken_at_s=101.1))
    story.push(105.0, behind(105.0, backend_pid=90))
    assert story.verdict(105.0) is Verdict.IDLE_IN_TRANSACTION


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (a_client(), "idle_in_pooler"),
        (a_client(is_waiting=True), "waiting_in_pooler"),
        (None, "no_client"),
    ],
)
def test_what_the_bouncer_alone_knows_needs_no_server_but_a_later_push(
    client: BouncerClient | None, reason: str
) -> None:
    story = Story()
    story.correlator.server_down(SERVER)
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, client)
    assert story.verdict(101.0) is Verdict.UNCONFIRMED
    story.push(105.0, behind(105.0))
    found = story.judgement(105.0, ServerView(SERVER, up=False))
    assert (found.reason, found.confirmed) == (reason, True)


def test_answer_of_the_bouncer_from_before_the_checkout_began_is_not_about_it() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(89.9, a_client())
    story.push(105.0, behind(105.0))
    assert story.verdict(105.0) is Verdict.UNCONFIRMED


def test_server_connection_from_before_the_checkout_began_is_not_its_own() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(89.9, a_client("s1"))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=100.5))
    story.push(105.0, behind(105.0))
    assert story.verdict(105.0) is Verdict.UNCONFIRMED


def test_client_without_a_server_turns_held_idle_once_it_was_quiet_for_a_second() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, a_client())
    story.push(105.0, behind(105.0))
    assert story.verdict(105.0) is Verdict.UNCONFIRMED
    story.ask_bouncer(106.0, a_client())
    story.push(110.0, behind(110.0))
    assert story.verdict(110.0) is Verdict.HELD_IDLE


def test_client_that_vanishes_from_the_bouncer_is_lost_unless_the_bouncer_was() -> None:
    for was_down, verdict in ((False, Verdict.LOST), (True, Verdict.UNKNOWN)):
        story = Story()
        story.push(100.0, behind(100.0))
        story.ask_bouncer(101.0, a_client())
        if was_down:
            story.correlator.bouncer_down(BOUNCER)
        story.ask_bouncer(103.0, None)
        story.push(105.0, behind(105.0))
        assert story.verdict(105.0) is verdict


def test_next_transaction_may_have_another_session() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, a_client("s1"))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.1))
    story.push(105.0, behind(105.0))
    story.ask_bouncer(106.0, a_client("s1"), a_bouncer_server(90))
    other = a_session(90, state=SessionState.ACTIVE, query_age_s=5.0, backend_start_s=1.0)
    story.poll(a_sample(other, taken_at_s=106.1))
    story.push(110.0, behind(110.0))
    assert story.verdict(110.0) is Verdict.SLOW_QUERY


def test_bouncer_that_is_down_makes_its_checkouts_unknown_and_others_not() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, a_client())
    story.push(105.0, behind(105.0))
    story.correlator.bouncer_down(BOUNCER)
    found = story.judgement(105.0)
    assert found.link == NoLink(Unlinked.POOLER_DOWN, None, BOUNCER)
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, "pooler_down")


def test_server_that_is_down_behind_a_bouncer_makes_what_it_said_unknown() -> None:
    story = Story()
    story.push(100.0, behind(100.0))
    story.ask_bouncer(101.0, a_client("s1"))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.1))
    story.push(105.0, behind(105.0))
    story.correlator.server_down(SERVER)
    assert story.judgement(105.0).reason == "server_down"
    # The link is confirmed and old; what the bouncer says now is not confirmed yet.
    story.ask_bouncer(106.0, a_client())
    assert story.judgement(106.0).reason == "server_down"


def test_without_a_server_a_served_client_says_that_none_is_configured() -> None:
    correlator = Correlator([], bouncers={BOUNCER: frozenset({BOUNCER_END})})
    correlator.take_push(a_push(held=(holding(behind(100.0)),)), 100.0)
    sample = a_bouncer_sample({LOCAL: a_client("s1")}, {"s1": a_bouncer_server()}, taken_at_s=101.0)
    correlator.take_bouncer_sample(sample, 101.0)
    [found] = correlator.situation(101.0, [], [ASKED]).judgements
    assert found.link == NoLink(Unlinked.NO_SERVER, None, BOUNCER)


def test_blocker_behind_a_bouncer_is_named_by_its_checkout() -> None:
    story = Story()
    waiting = held(100.0, checkout_id=2, backend_pid=90)
    blocked = a_session(90, state=SessionState.ACTIVE, wait_event_type="Lock", blocked_by=(PID,))
    story.push(100.0, behind(100.0), waiting)
    story.ask_bouncer(101.0, a_client("s1"))
    story.poll(a_sample(IN_TRANSACTION, blocked, taken_at_s=101.1))
    story.push(105.0, behind(105.0), held(105.0, checkout_id=2, backend_pid=90))
    judgements = story.correlator.situation(105.0, [UP], [ASKED]).judgements
    [found] = [each for each in judgements if each.verdict is Verdict.BLOCKED]
    assert found.blocked_by[0].checkout == behind(105.0)


def test_configured_bouncer_that_nobody_speaks_of_is_told_as_not_up() -> None:
    situation = Story().correlator.situation(100.0, [])
    assert [(view.bouncer, view.up) for view in situation.bouncers] == [(BOUNCER, False)]


def test_bouncer_has_checkouts_while_somebody_holds_one() -> None:
    story = Story()
    story.push(100.0, held(100.0))
    assert not story.correlator.has_checkouts_through(BOUNCER, 100.0)
    story.push(105.0, behind(105.0))
    assert story.correlator.has_checkouts_through(BOUNCER, 105.0)


TWIN = Endpoint("10.0.0.9", 5432)
TWINS = (
    ConfiguredServer("main", frozenset({PEER})),
    ConfiguredServer("twin", frozenset({TWIN})),
)


def test_a_server_that_was_never_reached_is_down_and_not_mistaken_for_its_twin() -> None:
    correlator = Correlator(TWINS)
    correlator.server_up(a_server("main"))
    checkout = a_checkout(peer=TWIN, local=None)
    correlator.take_push(a_push(*pool_points(), held=(holding(checkout),)), 100.0)
    # A session of the same pid and age, at the server that answers.
    correlator.take_sample(
        a_sample(a_session(), server="main", taken_at_s=101.0), a_server("main"), 101.0
    )

    [judgement] = correlator.situation(102.0, [ServerView("main", up=True)]).judgements

    assert judgement.link == NoLink(Unlinked.SERVER_DOWN, "twin")
    assert correlator.suspects("twin", 102.0) == [PID]


def test_an_address_of_two_servers_is_ambiguous() -> None:
    correlator = Correlator(
        [ConfiguredServer(name, frozenset({PEER})) for name in ("main", "twin")]
    )
    correlator.server_up(a_server("main"))
    correlator.take_push(a_push(*pool_points(), held=(holding(a_checkout()),)), 100.0)
    correlator.take_sample(
        a_sample(a_session(), server="main", taken_at_s=101.0), a_server("main"), 101.0
    )

    [judgement] = correlator.situation(102.0, [ServerView("main", up=True)]).judgements

    assert judgement.link == NoLink(Unlinked.AMBIGUOUS, None)


AFTER_A_RESTART = replace(a_server(), started_at_s=BACKEND_START_S + 500)
PROMOTED_FROM = replace(a_server(), in_recovery=True)


def linked_story() -> Story:
    story = Story()
    story.push(100.0, held(100.0))
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=101.0))
    story.push(105.0, held(105.0))
    assert story.judgement(105.0).confirmed
    return story


def test_what_a_server_said_before_it_was_replaced_is_void_at_once() -> None:
    story = linked_story()

    assert story.correlator.server_up(AFTER_A_RESTART) is Change.REPLACED

    assert story.verdict(106.0) is Verdict.UNCONFIRMED


def test_connection_of_a_server_that_was_replaced_is_lost_even_where_its_pid_has_a_row() -> None:
    story = linked_story()
    look_alike = a_sample(a_session(state=SessionState.ACTIVE), taken_at_s=107.0)

    story.correlator.take_sample(look_alike, AFTER_A_RESTART, 107.0)
    story.push(110.0, held(110.0))

    judgement = story.judgement(110.0)
    assert (judgement.verdict, judgement.reason) == (Verdict.LOST, Unlinked.SERVER_CHANGED)


def test_connection_opened_after_the_server_was_replaced_is_linked() -> None:
    story = linked_story()
    story.correlator.server_up(AFTER_A_RESTART)
    fresh = Endpoint("10.0.0.7", 50_999)
    session = a_session(PID + 1, client=fresh, backend_start_s=BACKEND_START_S + 600)
    checkout = held(110.0, checkout_id=2, backend_pid=PID + 1, local=fresh)

    story.push(110.0, checkout)
    story.correlator.take_sample(a_sample(session, taken_at_s=111.0), AFTER_A_RESTART, 111.0)
    story.push(115.0, checkout)

    assert isinstance(story.judgement(115.0).link, Link)


def test_server_that_is_promoted_keeps_its_sessions_and_they_are_asked_for_anew() -> None:
    story = Story()
    story.correlator.server_up(PROMOTED_FROM)
    story.push(100.0, held(100.0))
    story.correlator.take_sample(a_sample(IN_TRANSACTION, taken_at_s=101.0), PROMOTED_FROM, 101.0)
    story.push(105.0, held(105.0))

    assert story.correlator.server_up(a_server()) is Change.PROMOTED
    assert story.verdict(105.5) is Verdict.UNCONFIRMED
    story.poll(a_sample(IN_TRANSACTION, taken_at_s=106.0))
    story.push(110.0, held(110.0))

    assert isinstance(story.judgement(110.0).link, Link)

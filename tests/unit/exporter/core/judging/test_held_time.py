"""Time held, by what the session did: each moment once, and only where both sides saw it."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.held_time import MAX_SPANS, HeldTime
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.core.model.sessions import Session, SessionState
from poolscope_exporter.core.own_metrics import (
    HELD_IDLE_TIME,
    HELD_IN_TRANSACTION_TIME,
    HELD_SEEN_TIME,
)
from support.exporter.builders import (
    BACKEND_START_S,
    PID,
    SERVER,
    a_checkout,
    a_checkout_report,
    a_push,
    a_sample,
    a_server,
    a_session,
    holding,
)

IDLE = SessionState.IDLE
ACTIVE = SessionState.ACTIVE
BEGAN_S = 90.0
"""When the checkout of these tests began; pushes confirm what is a second older than they are."""


class Story:
    """One checkout, polls of its session, and pushes that still list it."""

    def __init__(self) -> None:
        self.idle = HeldTime()

    def poll(
        self,
        at_s: float,
        idle_since_s: float | None,
        state: SessionState | None = IDLE,
        *,
        took_s: float = 0.0,
        xact_since_s: float | None = None,
    ) -> None:
        reported = a_checkout_report(a_checkout(age_s=at_s - BEGAN_S), reported_at_s=at_s)
        age_s = None if idle_since_s is None else at_s + took_s - idle_since_s
        xact_age_s = None if xact_since_s is None else at_s + took_s - xact_since_s
        session = a_session(state=state, state_age_s=age_s, xact_age_s=xact_age_s)
        self.idle.record_session(reported, Link(LinkLevel.ADDRESS, SERVER, session, at_s), took_s)

    def held_until(self, until_s: float) -> None:
        self.idle.count_confirmed(a_checkout(), until_s, until_s + 1.0)

    @property
    def seconds(self) -> float | None:
        return self.counted.get(HELD_IDLE_TIME.name)

    @property
    def in_transaction(self) -> tuple[float | None, float | None]:
        """Return the seconds seen in a transaction, and all of which it was seen."""
        found = self.counted
        return found.get(HELD_IN_TRANSACTION_TIME.name), found.get(HELD_SEEN_TIME.name)

    @property
    def counted(self) -> dict[str, float]:
        return {total.metric: total.value for total in self.idle.totals.totals()}


@pytest.mark.parametrize(
    ("idle_since_s", "polled_at_s", "held_until_s", "seconds"),
    [
        (95.0, 100.0, 105.0, 5.0),
        (80.0, 100.0, 105.0, 10.0),  # idle before it was taken: somebody else's, or nobody's
        (95.0, 100.0, 100.0, 5.0),
        (95.0, 100.0, 98.0, 3.0),  # what the push does not reach waits for the next
        (95.0, 100.0, 95.0, 0.0),
        (95.0, 100.0, 80.0, 0.0),
        (100.0, 100.0, 105.0, 0.0),
        (101.0, 100.0, 105.0, 0.0),  # a clock read a moment later
    ],
)
def test_idle_time_counts_from_the_checkout_to_the_question(
    idle_since_s: float, polled_at_s: float, held_until_s: float, seconds: float
) -> None:
    story = Story()
    story.poll(polled_at_s, idle_since_s)
    story.held_until(held_until_s)
    assert story.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        (SessionState.IDLE, 5.0),
        (SessionState.IDLE_IN_TRANSACTION, 5.0),
        (SessionState.IDLE_IN_TRANSACTION_ABORTED, 5.0),
        (SessionState.ACTIVE, 0.0),
        (SessionState.STARTING, 0.0),
        (SessionState.OTHER, 0.0),
        (None, 0.0),
    ],
)
def test_only_a_session_that_does_nothing_counts(
    state: SessionState | None, seconds: float
) -> None:
    story = Story()
    story.poll(100.0, 95.0, state)
    story.held_until(105.0)
    assert story.seconds == seconds


def test_state_without_an_age_counts_nothing() -> None:
    story = Story()
    story.poll(100.0, None)
    story.held_until(105.0)
    assert story.seconds == 0.0


def test_polls_of_one_idle_spell_count_it_once() -> None:
    story = Story()
    for at_s in (96.0, 98.0, 100.0):
        story.poll(at_s, 95.0)
    story.held_until(105.0)
    assert story.seconds == pytest.approx(5.0)
    story.poll(103.0, 95.0)
    story.held_until(110.0)
    assert story.seconds == pytest.approx(8.0)


def test_pushes_that_come_after_each_other_count_it_once() -> None:
    story = Story()
    story.poll(100.0, 95.0)
    for until_s in (97.0, 99.0, 101.0, 103.0):
        story.held_until(until_s)
    assert story.seconds == pytest.approx(5.0)


def test_polls_faster_than_pushes_never_starve_the_count() -> None:
    story = Story()
    for at_s in range(91, 131):
        story.poll(float(at_s), 90.0)
        if at_s % 5 == 0:
            story.held_until(at_s - 1.0)
    assert story.seconds == pytest.approx(39.0)


def test_work_between_two_idle_spells_is_left_out() -> None:
    story = Story()
    story.poll(95.0, 93.0)
    story.poll(97.0, 96.5, ACTIVE)
    story.poll(100.0, 98.0)
    story.held_until(105.0)
    assert story.seconds == pytest.approx(4.0)


def test_time_that_the_answer_took_is_not_counted() -> None:
    story = Story()
    # Asked at 100, answered at 102: idle since 99 for sure, or for a second less before that.
    story.poll(100.0, 99.0, took_s=2.0)
    story.held_until(105.0)
    assert story.seconds == pytest.approx(1.0)
    late = Story()
    late.poll(100.0, 101.0, took_s=2.0)
    late.held_until(105.0)
    assert late.seconds == 0.0


def test_nothing_is_told_of_checkouts_without_a_session() -> None:
    story = Story()
    story.held_until(105.0)
    assert story.seconds is None


def test_what_no_push_confirms_is_never_counted() -> None:
    story = Story()
    story.poll(100.0, 95.0)
    story.idle.keep_held([])
    story.held_until(105.0)
    assert story.seconds is None


def test_spans_that_wait_are_bounded() -> None:
    story = Story()
    for at_s in range(100, 100 + 2 * MAX_SPANS):
        story.poll(float(at_s), at_s - 0.5)
    story.held_until(200.0)
    assert story.seconds == pytest.approx(0.5 * MAX_SPANS)


IN_TRANSACTION = SessionState.IDLE_IN_TRANSACTION
ABORTED = SessionState.IDLE_IN_TRANSACTION_ABORTED


@pytest.mark.parametrize(
    ("state", "state_since_s", "xact_since_s", "expected"),
    [
        (ACTIVE, 98.0, 94.0, (6.0, 6.0)),
        (IN_TRANSACTION, 98.0, 94.0, (6.0, 6.0)),
        (IN_TRANSACTION, 98.0, 80.0, (10.0, 10.0)),  # open before the checkout began
        (ABORTED, 98.0, None, (2.0, 2.0)),  # PostgreSQL gives no start of it
        (IDLE, 95.0, None, (0.0, 5.0)),
        (SessionState.STARTING, 95.0, None, (None, None)),
        (SessionState.OTHER, 95.0, None, (None, None)),
        (None, None, None, (None, None)),  # hidden: unknown is neither in one nor outside
        (IDLE, None, None, (None, None)),
    ],
)
def test_time_in_a_transaction_is_a_part_of_the_time_that_was_seen(
    state: SessionState | None,
    state_since_s: float | None,
    xact_since_s: float | None,
    expected: tuple[float | None, float | None],
) -> None:
    story = Story()
    story.poll(100.0, state_since_s, state, xact_since_s=xact_since_s)
    story.held_until(105.0)
    assert story.in_transaction == expected


def test_time_between_two_transactions_is_in_neither_part_unless_it_was_seen() -> None:
    story = Story()
    story.poll(95.0, 94.0, IN_TRANSACTION, xact_since_s=92.0)
    story.poll(97.0, 96.0, IDLE)  # from 95 to 96 it may have been either
    story.poll(100.0, 99.5, ACTIVE, xact_since_s=98.0)
    story.held_until(105.0)
    assert story.in_transaction == pytest.approx((5.0, 6.0))


def test_one_transaction_over_many_polls_counts_once() -> None:
    story = Story()
    for at_s in (94.0, 96.0, 100.0):
        story.poll(at_s, at_s, ACTIVE, xact_since_s=92.0)
        story.held_until(at_s - 1.0)
    story.held_until(105.0)
    assert story.in_transaction == pytest.approx((8.0, 8.0))


def test_transaction_that_no_push_confirms_is_not_counted() -> None:
    story = Story()
    story.poll(100.0, 98.0, ACTIVE, xact_since_s=94.0)
    story.held_until(93.0)
    assert story.in_transaction == (0.0, 0.0)


class Books:
    """A correlator with one server and one process, told what happens second by second."""

    def __init__(self) -> None:
        self.correlator = Correlator([ConfiguredServer(SERVER)])
        self.correlator.server_up(a_server())
        self._sequence = 0

    def push(self, now_s: float, *checkouts: Checkout, pid: str = "1") -> None:
        self._sequence += 1
        held = (holding(*checkouts, pool=a_checkout().pool),)
        resource = {catalogue.PROCESS_PID: pid}
        push = a_push(sequence=self._sequence, held=held, resource=resource)
        assert self.correlator.take_push(push, now_s).accepted

    def poll(self, at_s: float, session: Session) -> None:
        self.correlator.take_sample(a_sample(session, taken_at_s=at_s), a_server(), at_s)

    @property
    def seconds(self) -> dict[str, float]:
        totals = self.correlator.held_time.totals.totals()
        idle = HELD_IDLE_TIME.name
        return {total.route: total.value for total in totals if total.metric == idle}


def held(now_s: float, checkout_id: int = 1, route: str | None = "/orders") -> Checkout:
    return a_checkout(
        checkout_id, age_s=now_s - BEGAN_S, connection_age_s=now_s - 40.0, route=route
    )


def test_pushes_and_samples_count_by_route() -> None:
    books = Books()
    books.push(100.0, held(100.0))
    books.poll(102.0, a_session(state_age_s=4.0))
    assert books.seconds == {}
    books.push(105.0, held(105.0))
    assert books.seconds == {"/orders": pytest.approx(4.0)}


def test_checkout_without_a_route_counts_under_none() -> None:
    books = Books()
    books.push(100.0, held(100.0, route=None))
    books.poll(102.0, a_session(state_age_s=4.0))
    books.push(105.0, held(105.0, route=None))
    assert books.seconds == {"": pytest.approx(4.0)}


def test_checkout_that_was_returned_counts_no_more() -> None:
    books = Books()
    books.push(100.0, held(100.0))
    books.poll(102.0, a_session(state_age_s=4.0))
    books.push(105.0, held(105.0))
    books.poll(106.0, a_session(state_age_s=8.0))
    books.push(110.0)
    books.poll(111.0, a_session(state_age_s=13.0))
    assert books.seconds == {"/orders": pytest.approx(4.0)}
    assert not books.correlator.held_time._records


def test_session_that_is_not_the_checkouts_own_counts_nothing() -> None:
    books = Books()
    books.push(100.0, held(100.0))
    books.poll(102.0, a_session(client=None, backend_age_s=5_000.0, state_age_s=4.0))
    books.push(105.0, held(105.0))
    assert books.seconds == {}


def test_process_that_starts_again_confirms_nothing_of_the_one_before() -> None:
    books = Books()
    books.push(100.0, held(100.0))
    books.poll(102.0, a_session(PID, backend_start_s=BACKEND_START_S, state_age_s=4.0))
    books.push(105.0, held(105.0), pid="2")
    assert books.seconds == {}


@pytest.mark.parametrize(("now_s", "is_there"), [(86_505.0, True), (86_505.1, False)])
def test_sum_goes_a_day_after_its_last_word(now_s: float, is_there: bool) -> None:
    books = Books()
    books.push(100.0, held(100.0))
    books.poll(102.0, a_session(state_age_s=4.0))
    books.push(105.0, held(105.0))
    books.correlator.situation(now_s, [])
    assert bool(books.seconds) is is_there

"""Orphans are sessions whose process is gone, and never those of a program we know nothing of."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.judging.views import ServerView
from poolscope_exporter.core.linking import orphans as subject
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.core.model.sessions import Census, Session, SessionState
from support.exporter.builders import (
    BACKEND_START_S,
    LOCAL,
    PID,
    SERVER,
    a_checkout,
    a_pool,
    a_push,
    a_sample,
    a_server,
    a_session,
    an_instance,
    holding,
)

SHOP = ("acme", "shop")
IDLE_PID = PID + 1


class Story:
    """A process that was linked by one checkout at 100 s and lists its pids; then what happens."""

    def __init__(self, *pids: int, link: bool = True) -> None:
        self.correlator = Correlator([ConfiguredServer(SERVER)])
        self.correlator.server_up(a_server())
        self.sequence = 0
        self.pids = pids
        if link:
            self.push(100.0, a_checkout())
            self.correlator.take_sample(a_sample(a_session(), taken_at_s=101.0), a_server(), 101.0)
        self.push(105.0)

    def push(
        self, now_s: float, *checkouts: Checkout, pid: str = "1", is_end: bool = False
    ) -> None:
        self.sequence += 1
        push = a_push(
            sequence=self.sequence,
            held=(holding(*checkouts, pool=a_pool()),),
            resource={catalogue.PROCESS_PID: pid},
            backend_pids={a_pool(): frozenset(self.pids)},
            is_end=is_end,
        )
        assert self.correlator.take_push(push, now_s).accepted

    def census(self, now_s: float, *sessions: Session) -> int | None:
        """Return how many orphans the service has by this list of sessions, None if untold."""
        self.correlator.take_census(Census(SERVER, now_s, sessions), now_s)
        told = self.correlator.orphans.count_by_service(SERVER)
        assert told is not None
        return told.get(SHOP)


def left(pid: int = PID, *, statement_age_s: float | None = 600.0, **seen: object) -> Session:
    session = a_session(pid, query_age_s=statement_age_s)
    return replace(session, **seen)  # type: ignore[arg-type]


def test_session_that_outlives_its_process_is_an_orphan() -> None:
    story = Story(PID)
    assert story.census(106.0, left()) == 0
    assert story.census(200.0, left()) == 1


def test_session_that_ended_with_its_process_is_none() -> None:
    story = Story(PID)
    story.census(106.0, left())
    assert story.census(200.0) == 0
    assert not story.correlator.orphans._claims


@pytest.mark.parametrize(("now_s", "count"), [(120.0, 0), (120.01, 1)])
def test_process_is_gone_after_three_missed_pushes(now_s: float, count: int) -> None:
    story = Story(PID)
    assert story.census(now_s, left()) == count


@pytest.mark.parametrize(("now_s", "count"), [(119.99, 0), (120.0, 1)])
def test_session_of_a_process_that_ended_has_ten_seconds_to_go(now_s: float, count: int) -> None:
    story = Story(PID)
    story.push(110.0, is_end=True)
    assert story.census(now_s, left()) == count


@pytest.mark.parametrize(
    ("statement_at_s", "count"), [(104.0, 1), (109.9, 1), (110.1, 0), (199.0, 0), (200.0, 0)]
)
def test_session_that_works_on_has_a_client_that_lives(statement_at_s: float, count: int) -> None:
    # Last heard at 105: a statement may have begun until the next push was due, at 110.
    story = Story(PID)
    assert story.census(200.0, left(statement_age_s=200.0 - statement_at_s)) == count


def test_session_that_never_ran_a_statement_is_an_orphan_too() -> None:
    assert Story(PID).census(200.0, left(statement_age_s=None)) == 1


def test_session_that_runs_its_last_statement_for_ever_is_an_orphan() -> None:
    story = Story(PID)
    assert story.census(200.0, left(statement_age_s=98.0, state=SessionState.ACTIVE)) == 1


def test_session_that_a_process_only_listed_is_claimed_by_address_role_and_database() -> None:
    story = Story(PID, IDLE_PID)
    assert story.census(106.0, left(), left(IDLE_PID)) == 0
    assert story.census(200.0, left(), left(IDLE_PID)) == 2


@pytest.mark.parametrize(
    "foreign",
    [
        left(IDLE_PID, client=Endpoint("10.0.0.8", LOCAL.port)),
        left(IDLE_PID, user="batch"),
        left(IDLE_PID, database="reports"),
        left(IDLE_PID, backend_start_s=None),
        left(IDLE_PID, client=None),
    ],
)
def test_session_that_matches_a_listed_pid_alone_is_never_accused(foreign: Session) -> None:
    story = Story(PID, IDLE_PID)
    assert story.census(106.0, left(), foreign) == 0
    assert story.census(200.0, left(), foreign) == 1


def test_session_that_nobody_listed_is_never_accused() -> None:
    story = Story(PID)
    assert story.census(106.0, left(), left(IDLE_PID)) == 0
    assert story.census(200.0, left(), left(IDLE_PID)) == 1


def test_pid_that_comes_round_is_another_session() -> None:
    story = Story(PID)
    story.census(106.0, left())
    assert story.census(200.0, left(backend_start_s=BACKEND_START_S + 60)) == 0


def test_process_that_was_never_linked_claims_nothing() -> None:
    story = Story(PID, link=False)
    assert story.correlator.orphans.client_addresses(SERVER) == frozenset()
    assert story.census(106.0, left()) is None
    assert story.census(200.0, left()) is None


def test_link_through_a_pooler_claims_nothing() -> None:
    correlator = Correlator([ConfiguredServer(SERVER)])
    link = Link(LinkLevel.PGBOUNCER, SERVER, a_session(), 100.0)
    correlator.orphans.note_session(a_pool(), link)
    assert correlator.orphans.client_addresses(SERVER) == frozenset()


def test_connection_that_a_live_process_lists_no_more_may_still_be_its_own() -> None:
    story = Story(PID)
    story.pids = ()
    for second in range(110, 205, 5):
        story.push(float(second))
    assert story.census(200.0, left()) == 0


def test_session_that_any_live_process_lists_is_not_alone() -> None:
    story = Story(PID)
    other: Pool = a_pool(an_instance("shop-2"))
    push = a_push(instance=other.instance, backend_pids={other: frozenset({PID})})
    story.correlator.take_push(push, 199.0)
    assert story.census(200.0, left()) == 0


def test_process_that_comes_back_takes_its_sessions_back() -> None:
    story = Story(PID)
    assert story.census(130.0, left()) == 1
    story.push(131.0)
    assert story.census(132.0, left()) == 0


def test_sessions_of_a_process_that_was_replaced_are_orphans() -> None:
    story = Story(PID)
    story.pids = (PID + 100,)
    for second in range(110, 205, 5):
        story.push(float(second), pid="2")
    assert story.census(119.9, left()) == 0
    assert story.census(200.0, left()) == 1


def test_orphans_outlive_the_memory_of_their_process() -> None:
    story = Story(PID)
    story.census(106.0, left())
    assert story.census(2_000.0, left(statement_age_s=2_000.0)) == 1
    assert story.correlator.orphans.client_addresses(SERVER) == frozenset({LOCAL.address})
    assert story.correlator.orphans._witnesses == {}


def test_view_of_a_server_tells_its_orphans_while_it_is_up() -> None:
    story = Story(PID)
    story.census(106.0, left())
    for up, told in ((True, {SHOP: 0}), (False, None)):
        [view] = story.correlator.situation(107.0, [ServerView(SERVER, up=up)]).servers
        assert view.orphans == told


def test_what_was_refused_once_is_unknown_again() -> None:
    story = Story(PID)
    story.census(106.0, left())
    story.correlator.orphans.discard_census(SERVER)
    assert story.correlator.orphans.count_by_service(SERVER) is None


def test_claims_and_witnesses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MAX_CLAIMS", 3)
    known = subject.Orphans()
    for number in range(20):
        client = Endpoint(f"10.0.1.{number}", 5000)
        session = a_session(PID + number, client=client)
        known.note_session(a_pool(), Link(LinkLevel.ADDRESS, SERVER, session, 100.0))
    assert len(known._claims) == 3
    assert len(known.client_addresses(SERVER)) == subject.MAX_WITNESSES

"""Each held checkout gets the first verdict that matches, and only what is known counts."""

from dataclasses import replace

import pytest

from poolscope.catalogue import Evidence, OwnerKind
from poolscope_exporter.core.judging.leak_evidence import ANSWER_WITHIN_S
from poolscope_exporter.core.judging.verdicts import (
    LOST_SESSION,
    UNKNOWN_STATE,
    Blocker,
    Judgement,
    Verdict,
    judge,
)
from poolscope_exporter.core.linking.confirmation import Confirmed, Pending, State, Unseen
from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.sessions import Session, SessionState
from support.exporter.builders import SERVER, a_checkout, a_checkout_report, a_session

LEAK = Evidence.REQUEST_FINISHED
ABORTED = SessionState.IDLE_IN_TRANSACTION_ABORTED


def judged(
    state: State | NoLink,
    *,
    evidence: Evidence | None = None,
    age_s: float = 10.0,
    is_proven: bool = True,
    owner_kind: OwnerKind = OwnerKind.REQUEST,
    now_s: float = 101.0,
) -> Judgement:
    checkout = replace(a_checkout(evidence=evidence, age_s=age_s), owner_kind=owner_kind)
    reported = a_checkout_report(checkout, reported_at_s=100.0)
    return judge(reported, state, now_s, is_proven, {})


def confirmed(session: Session, taken_at_s: float = 100.0) -> Confirmed:
    return Confirmed(Link(LinkLevel.ADDRESS, SERVER, session, taken_at_s), taken_at_s)


def missing(reason: Unlinked) -> Confirmed:
    return Confirmed(NoLink(reason, SERVER), 100.0)


def active(
    query_age_s: float | None, wait_event_type: str | None = None, wait_event: str | None = None
) -> Confirmed:
    return confirmed(
        a_session(
            state=SessionState.ACTIVE,
            query_age_s=query_age_s,
            wait_event_type=wait_event_type,
            wait_event=wait_event,
        )
    )


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (active(0.0, "Lock", "transactionid"), Verdict.WORKING),
        (active(0.49, "Lock", "transactionid"), Verdict.WORKING),
        (active(0.5, "Lock", "transactionid"), Verdict.BLOCKED),
        (active(0.51, "Lock", "tuple"), Verdict.BLOCKED),
        (active(None, "Lock", "transactionid"), Verdict.BLOCKED),
        (active(0.99), Verdict.WORKING),
        (active(1.0), Verdict.SLOW_QUERY),
        (active(1.01), Verdict.SLOW_QUERY),
        (active(None), Verdict.WORKING),
        (active(9.0, "IO", "DataFileRead"), Verdict.SLOW_QUERY),
        (active(9.0, "LWLock", "WALWrite"), Verdict.SLOW_QUERY),
        (active(0.99, "Client", "ClientRead"), Verdict.WORKING),
        (active(1.0, "Client", "ClientRead"), Verdict.STALLED),
        (active(1.01, "Client", "ClientWrite"), Verdict.STALLED),
        (active(9.0, "Client", "GSSOpenServer"), Verdict.WORKING),
    ],
)
@pytest.mark.parametrize("evidence", [None, LEAK])
def test_active_session_is_judged_by_what_it_waits_for(
    state: Confirmed, verdict: Verdict, evidence: Evidence | None
) -> None:
    assert judged(state, evidence=evidence).verdict is verdict


@pytest.mark.parametrize(
    ("session_state", "long_verdict"),
    [
        (SessionState.IDLE, Verdict.HELD_IDLE),
        (SessionState.IDLE_IN_TRANSACTION, Verdict.IDLE_IN_TRANSACTION),
        (ABORTED, Verdict.IDLE_IN_TRANSACTION),
    ],
)
@pytest.mark.parametrize(("idle_s", "is_long"), [(0.99, False), (1.0, True), (1.01, True)])
def test_idle_session_counts_from_one_second(
    session_state: SessionState, long_verdict: Verdict, idle_s: float, is_long: bool
) -> None:
    session = a_session(state=session_state, state_age_s=idle_s, xact_age_s=None)
    expected = long_verdict if is_long else Verdict.WORKING
    assert judged(confirmed(session)).verdict is expected


@pytest.mark.parametrize(
    ("session_state", "verdict"),
    [
        (SessionState.IDLE, Verdict.WORKING),
        (SessionState.IDLE_IN_TRANSACTION, Verdict.IDLE_IN_TRANSACTION),
        (SessionState.ACTIVE, Verdict.SLOW_QUERY),
    ],
)
def test_connection_that_was_declared_long_lived_may_be_idle_and_nothing_else(
    session_state: SessionState, verdict: Verdict
) -> None:
    session = a_session(state=session_state, state_age_s=3600.0, query_age_s=3600.0)
    found = judged(confirmed(session), age_s=3600.0, owner_kind=OwnerKind.LONG_LIVED)
    assert found.verdict is verdict


@pytest.mark.parametrize(("held_s", "verdict"), [(1.99, Verdict.WORKING), (2.0, Verdict.HELD_IDLE)])
def test_idleness_before_the_checkout_is_not_the_checkouts(held_s: float, verdict: Verdict) -> None:
    session = a_session(state=SessionState.IDLE, state_age_s=3600.0)
    # The sample is one second older than the push: the checkout was younger then.
    assert judged(confirmed(session, taken_at_s=99.0), age_s=held_s).verdict is verdict


@pytest.mark.parametrize(
    "session_state", [SessionState.IDLE, SessionState.IDLE_IN_TRANSACTION, ABORTED]
)
def test_evidence_with_a_session_that_does_nothing_is_a_leak(session_state: SessionState) -> None:
    found = judged(confirmed(a_session(state=session_state, state_age_s=2.0)), evidence=LEAK)
    assert (found.verdict, found.reason, found.evidence) == (Verdict.LEAKED, None, LEAK)


@pytest.mark.parametrize("session_state", [SessionState.OTHER, None])
def test_state_that_nobody_knows_is_unknown(session_state: SessionState | None) -> None:
    found = judged(confirmed(a_session(state=session_state)))
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, UNKNOWN_STATE)


def test_session_that_is_still_starting_is_at_work() -> None:
    assert judged(confirmed(a_session(state=SessionState.STARTING))).verdict is Verdict.WORKING


@pytest.mark.parametrize("reason", [Unlinked.NO_ROW, Unlinked.PID_REUSED, Unlinked.CLIENT_GONE])
def test_session_that_is_gone_is_lost_where_the_path_is_proven(reason: Unlinked) -> None:
    found = judged(missing(reason))
    assert (found.verdict, found.reason) == (Verdict.LOST, reason)


@pytest.mark.parametrize("reason", [Unlinked.NO_ROW, Unlinked.PID_REUSED, Unlinked.CLIENT_GONE])
def test_a_leak_outlives_its_session(reason: Unlinked) -> None:
    found = judged(missing(reason), evidence=LEAK)
    assert (found.verdict, found.reason) == (Verdict.LEAKED, LOST_SESSION)


@pytest.mark.parametrize("reason", [Unlinked.NO_ROW, Unlinked.PID_REUSED])
def test_session_that_was_never_seen_on_the_path_is_unknown(reason: Unlinked) -> None:
    found = judged(missing(reason), is_proven=False)
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, reason)


def test_evidence_stands_alone_where_the_row_may_be_elsewhere() -> None:
    found = judged(missing(Unlinked.NO_ROW), is_proven=False, evidence=LEAK)
    assert (found.verdict, found.reason) == (Verdict.LEAKED, Unlinked.NO_ROW)


UNASKABLE = [
    reason
    for reason in Unlinked
    if reason
    not in {
        Unlinked.NO_ROW,
        Unlinked.PID_REUSED,
        Unlinked.SERVER_CHANGED,
        Unlinked.NOT_SAMPLED,
        Unlinked.IDLE_IN_POOLER,
        Unlinked.WAITING_IN_POOLER,
        Unlinked.MOVED_ON,
        Unlinked.CLIENT_GONE,
    }
]


@pytest.mark.parametrize("reason", UNASKABLE)
def test_without_a_server_the_applications_evidence_stands_alone(reason: Unlinked) -> None:
    found = judged(NoLink(reason, SERVER), evidence=LEAK)
    assert (found.verdict, found.reason, found.confirmed) == (Verdict.LEAKED, reason, False)


@pytest.mark.parametrize("reason", UNASKABLE)
def test_without_a_server_and_without_evidence_nothing_is_known(reason: Unlinked) -> None:
    found = judged(NoLink(reason, None))
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, reason)


def in_pooler(reason: Unlinked, lasted_s: float | None = None) -> Confirmed:
    return Confirmed(NoLink(reason, None, "bouncer", lasted_s), 100.0)


@pytest.mark.parametrize(
    ("idle_s", "verdict"),
    [
        (None, Verdict.UNCONFIRMED),
        (0.99, Verdict.UNCONFIRMED),
        (1.0, Verdict.HELD_IDLE),
        (1.01, Verdict.HELD_IDLE),
    ],
)
def test_client_without_a_server_is_held_idle_from_one_second(
    idle_s: float | None, verdict: Verdict
) -> None:
    found = judged(in_pooler(Unlinked.IDLE_IN_POOLER, idle_s))
    assert (found.verdict, found.reason) == (verdict, "idle_in_pooler")


def test_client_that_asked_for_something_since_the_look_before_is_at_work() -> None:
    active = NoLink(Unlinked.IDLE_IN_POOLER, None, "bouncer", 0.0, was_active=True)
    found = judged(Confirmed(active, 100.0))
    assert (found.verdict, found.reason) == (Verdict.WORKING, "idle_in_pooler")


def test_idleness_in_the_pooler_before_the_checkout_is_not_the_checkouts() -> None:
    found = judged(in_pooler(Unlinked.IDLE_IN_POOLER, 3600.0), age_s=0.99)
    assert found.verdict is Verdict.WORKING


def test_client_without_a_server_may_be_idle_where_it_was_declared_long_lived() -> None:
    state = in_pooler(Unlinked.IDLE_IN_POOLER, 3600.0)
    assert judged(state, owner_kind=OwnerKind.LONG_LIVED).verdict is Verdict.WORKING


def test_leak_of_a_client_without_a_server_says_that_the_server_is_not_concerned() -> None:
    found = judged(in_pooler(Unlinked.IDLE_IN_POOLER, 2.0), evidence=LEAK)
    assert (found.verdict, found.reason) == (Verdict.LEAKED, "idle_in_pooler")
    assert found.confirmed


@pytest.mark.parametrize("evidence", [None, LEAK])
@pytest.mark.parametrize("reason", [Unlinked.WAITING_IN_POOLER, Unlinked.MOVED_ON])
def test_client_with_a_statement_under_way_is_no_culprit(
    reason: Unlinked, evidence: Evidence | None
) -> None:
    found = judged(in_pooler(reason, 30.0), evidence=evidence)
    assert (found.verdict, found.reason) == (Verdict.WORKING, reason)


@pytest.mark.parametrize("is_proven", [True, False])
def test_client_that_the_bouncer_had_and_has_no_more_is_lost(is_proven: bool) -> None:
    found = judged(in_pooler(Unlinked.CLIENT_GONE), is_proven=is_proven)
    assert (found.verdict, found.reason) == (Verdict.LOST, "client_gone")


@pytest.mark.parametrize("evidence", [None, LEAK])
@pytest.mark.parametrize(
    "state",
    [
        Pending(Link(LinkLevel.ADDRESS, SERVER, a_session(), 100.0)),
        Pending(NoLink(Unlinked.NO_ROW, SERVER)),
        Pending(NoLink(Unlinked.IDLE_IN_POOLER, None, "bouncer", 30.0)),
        Pending(NoLink(Unlinked.CLIENT_GONE, None, "bouncer")),
        Unseen(),
        NoLink(Unlinked.NOT_SAMPLED, SERVER),
    ],
)
def test_nothing_is_judged_before_it_is_confirmed(
    state: State | NoLink, evidence: Evidence | None
) -> None:
    found = judged(state, evidence=evidence)
    assert (found.verdict, found.confirmed) == (Verdict.UNCONFIRMED, False)


def test_evidence_that_nobody_asked_the_server_about_counts_after_a_while() -> None:
    found = judged(Unseen(), evidence=LEAK, now_s=100.0 + ANSWER_WITHIN_S)
    assert (found.verdict, found.reason) == (Verdict.LEAKED, Unlinked.NOT_SAMPLED)


def test_unconfirmed_link_is_shown_as_what_it_is() -> None:
    link = Link(LinkLevel.AGE, SERVER, a_session(), 100.0)
    assert judged(Pending(link)).link == link
    assert judged(Unseen()).link == NoLink(Unlinked.NOT_SAMPLED, None)


def test_judgement_ages_with_the_exporters_clock() -> None:
    assert judged(Unseen(), age_s=10.0).age_s == 11.0


def test_blocked_checkout_names_the_checkout_that_holds_the_lock() -> None:
    session = a_session(state=SessionState.ACTIVE, wait_event_type="Lock", blocked_by=(90, 91))
    holder = a_checkout(2, backend_pid=90)
    found = judge(
        a_checkout_report(),
        confirmed(session),
        101.0,
        True,
        {(SERVER, 90): holder, ("other", 91): a_checkout(3)},
    )
    assert found.blocked_by == (Blocker(90, holder), Blocker(91, None))

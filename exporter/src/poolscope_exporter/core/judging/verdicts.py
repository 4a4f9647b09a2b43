"""Judge each held checkout by what its server session does: the first match wins."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolscope.catalogue import Evidence, OwnerKind
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.linking.confirmation import Confirmed, Pending, State
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.sessions import Session, SessionState

SLOW_QUERY_S: Final = 1.0
"""An active session counts as slow from here; the age from which checkouts are listed at all."""

IDLE_IN_TRANSACTION_S: Final = 1.0
"""A transaction left open for this long is waiting for something other than the database."""

HELD_IDLE_S: Final = 1.0
"""A connection held this long without a statement is withheld from those who queue (T5: 2 s)."""

STALLED_S: Final = 1.0
"""A statement that waits this long for its own client is not making progress."""


class Verdict(StrEnum):
    """What is the matter with one held checkout."""

    LOST = "lost"
    BLOCKED = "blocked"
    SLOW_QUERY = "slow_query"
    LEAKED = "leaked"
    IDLE_IN_TRANSACTION = "idle_in_transaction"
    HELD_IDLE = "held_idle"
    STALLED = "stalled"
    WORKING = "working"
    UNCONFIRMED = "unconfirmed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds the lock; `checkout` where it is one of ours."""

    pid: int
    checkout: Checkout | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """One held checkout, judged; `age_s` is as of the judgement.

    `reason` says why there is no session: always with `unknown`, with `leaked` where the
    application's evidence stands alone, and with `working` and `held_idle` where a PgBouncer says
    that its client has no server connection, or waits for one. `confirmed` is true where a later
    push showed that the server's answer was about this checkout. `probable` is the verdict that an
    unconfirmed checkout gets if the answer was about it, None where there is no answer.
    """

    checkout: Checkout
    age_s: float
    verdict: Verdict
    reason: str | None
    evidence: Evidence | None
    link: Link | NoLink
    confirmed: bool
    blocked_by: tuple[Blocker, ...] = ()
    probable: Verdict | None = None


LOST_SESSION = "lost"
"""Reason of a leak where the session is gone too: the place stays taken."""

UNKNOWN_STATE = "unknown_state"
"""Reason where the session shows no state that we know (`track_activities` is off, say)."""

_GONE = (Unlinked.NO_ROW, Unlinked.PID_REUSED, Unlinked.SERVER_CHANGED)
_MAKES_PROGRESS = (Unlinked.WAITING_IN_POOLER, Unlinked.MOVED_ON)
"""A statement is under way, or was a moment ago. Who queues in the bouncer is a victim, no culprit:
what is the matter there, the diagnosis of the pool says."""

_UNKNOWABLE = (Verdict.UNKNOWN, Verdict.UNCONFIRMED)

_IN_TRANSACTION = (SessionState.IDLE_IN_TRANSACTION, SessionState.IDLE_IN_TRANSACTION_ABORTED)

_Finding = tuple[Verdict, str | None]


def judge(
    reported: CheckoutReport,
    state: State | NoLink,
    now_s: float,
    is_proven: bool,
    holders: Mapping[tuple[str, int], Checkout],
) -> Judgement:
    """Judge one held checkout.

    `state` is what its server said, or a `NoLink` where there is nothing that a server could be
    asked. `is_proven`: some connection of the pool was linked before, so that a missing session
    means a lost one. `holders`: the checkouts behind linked sessions, by (server, pid).
    """
    outcome = _outcome(state)
    verdict, reason = _find(reported, outcome, state, is_proven)
    probable = None
    if isinstance(state, Pending):
        probable, verdict, reason = verdict, Verdict.UNCONFIRMED, None
    return Judgement(
        checkout=reported.checkout,
        age_s=reported.age_s(now_s),
        verdict=verdict,
        reason=reason,
        evidence=reported.checkout.evidence,
        link=outcome,
        confirmed=isinstance(state, Confirmed),
        blocked_by=_blockers(outcome, holders) if verdict is Verdict.BLOCKED else (),
        probable=None if probable in _UNKNOWABLE else probable,
    )


def _outcome(state: State | NoLink) -> Link | NoLink:
    if isinstance(state, Confirmed | Pending):
        return state.outcome
    return state if isinstance(state, NoLink) else NoLink(Unlinked.NOT_SAMPLED, None)


def _find(
    reported: CheckoutReport, outcome: Link | NoLink, state: State | NoLink, is_proven: bool
) -> _Finding:
    if isinstance(outcome, NoLink):
        if isinstance(state, Confirmed) and outcome.reason is Unlinked.IDLE_IN_POOLER:
            return _idle_in_pooler(reported.checkout, outcome, reported.age_s(state.taken_at_s))
        return _without_session(reported.checkout.evidence, outcome.reason, is_proven)
    return _with_session(reported, outcome.session, reported.age_s(outcome.taken_at_s))


def _without_session(evidence: Evidence | None, reason: Unlinked, is_proven: bool) -> _Finding:
    if reason is Unlinked.NOT_SAMPLED:
        return Verdict.UNCONFIRMED, reason
    if reason is Unlinked.CLIENT_GONE or (reason in _GONE and is_proven):
        return (Verdict.LEAKED, LOST_SESSION) if evidence else (Verdict.LOST, reason)
    if reason in _MAKES_PROGRESS:
        return Verdict.WORKING, reason
    # Whatever keeps the server's side from us (a proxy, an outage), the evidence is the app's own.
    if evidence:
        return Verdict.LEAKED, reason
    # Without a proven path, no row may also mean that the pid is not one of this server's at all.
    return Verdict.UNKNOWN, reason


def _idle_in_pooler(checkout: Checkout, outcome: NoLink, held_s: float) -> _Finding:
    """Judge a connection that costs the server nothing: only the application's pool misses it."""
    if checkout.evidence:
        return Verdict.LEAKED, outcome.reason
    is_declared = checkout.owner_kind is OwnerKind.LONG_LIVED
    if is_declared or outcome.was_active or held_s < HELD_IDLE_S:
        return Verdict.WORKING, outcome.reason
    # The bouncer does not say since when it is idle: the next look tells whether it is for long.
    is_long = (outcome.lasted_s or 0.0) >= HELD_IDLE_S
    return (Verdict.HELD_IDLE if is_long else Verdict.UNCONFIRMED), outcome.reason


def _with_session(reported: CheckoutReport, session: Session, held_s: float) -> _Finding:
    if session.state is SessionState.ACTIVE:
        return _active(session), None
    if reported.checkout.evidence:
        return Verdict.LEAKED, None
    # A connection may have been idle for an hour, and held for a second: only the latter counts.
    idle_s = min(session.state_age_s or 0.0, held_s)
    if session.state in _IN_TRANSACTION:
        # The state's own age: `xact_start` is NULL once a transaction is aborted.
        is_long = idle_s >= IDLE_IN_TRANSACTION_S
        return (Verdict.IDLE_IN_TRANSACTION if is_long else Verdict.WORKING), None
    if session.state is SessionState.IDLE:
        # Idle on purpose is no finding; idle in a transaction is one, whatever the purpose.
        is_declared = reported.checkout.owner_kind is OwnerKind.LONG_LIVED
        is_long = idle_s >= HELD_IDLE_S and not is_declared
        return (Verdict.HELD_IDLE if is_long else Verdict.WORKING), None
    if session.state is SessionState.STARTING:
        return Verdict.WORKING, None
    return Verdict.UNKNOWN, UNKNOWN_STATE


def _active(session: Session) -> Verdict:
    age_s = session.query_age_s or 0.0
    if session.wait_event_type == "Lock":
        return Verdict.BLOCKED
    if session.wait_event_type == "Client":
        waits_for_us = session.wait_event in {"ClientRead", "ClientWrite"}
        return Verdict.STALLED if waits_for_us and age_s >= STALLED_S else Verdict.WORKING
    return Verdict.SLOW_QUERY if age_s >= SLOW_QUERY_S else Verdict.WORKING


def _blockers(
    outcome: Link | NoLink, holders: Mapping[tuple[str, int], Checkout]
) -> tuple[Blocker, ...]:
    if isinstance(outcome, NoLink):
        return ()
    pids = outcome.session.blocked_by
    return tuple(Blocker(pid, holders.get((outcome.server, pid))) for pid in pids)

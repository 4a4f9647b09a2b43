"""Judge each held checkout by the activity of its server session: the first match wins."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolscope.catalogue import Evidence, OwnerKind
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.judging.leak_evidence import Standing, weigh_evidence
from poolscope_exporter.core.linking.confirmation import Confirmed, Pending, State
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.sessions import Session, SessionState

SLOW_QUERY_S: Final = 1.0
"""The age from which an active session counts as slow, and from which checkouts are listed."""

BLOCKED_S: Final = 0.5
"""Two transactions that change one row often wait briefly; a shorter wait does no harm (T1)."""

IDLE_IN_TRANSACTION_S: Final = 1.0
"""A transaction idle for this long is waiting for something other than the database."""

HELD_IDLE_S: Final = 1.0
"""A connection held this long without a statement is missing for waiting callers (T5: 2 s)."""

STALLED_S: Final = 1.0
"""A statement that waits this long for its client is not making progress."""


class Verdict(StrEnum):
    """The problem of one held checkout."""

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
    """A session that holds the lock; `checkout` is set if a known checkout uses it.

    `idle_in` is the pool with its idle connection, if a lock was not released. With `is_foreign`,
    that is another pool than the waiting checkout's. The last listed checkout on this connection is
    `last`. The server's data on the blocker is `session`. None is unknown.
    """

    pid: int
    checkout: Checkout | None
    idle_in: Pool | None = None
    is_foreign: bool = False
    last: Checkout | None = None
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """One held checkout with its verdict; `age_s` is as of the judgement.

    The `reason` explains why there is no session. It is set with `unknown`, and with `leaked` if
    only the application has evidence. It is also set with `working` and `held_idle` if PgBouncer
    reports that its client has no server connection, or waits for one. If a later push proved that
    the server's answer was about this checkout, it is `confirmed`. Otherwise, `probable` is the
    verdict if the answer was about it, and None without an answer. Whether the evidence counts is
    `standing`; pushes have reported it for `evidence_age_s`.
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
    standing: Standing = Standing.STANDS
    evidence_age_s: float = 0.0

    @property
    def is_unproven(self) -> bool:
        """Return whether there is evidence of a leak that does not count, or not yet."""
        return self.evidence is not None and self.standing is not Standing.STANDS


LOST_SESSION = "lost"
"""The reason of a leak with a session that is gone too: the place stays occupied."""

UNKNOWN_STATE = "unknown_state"
"""The reason if the session has no known state, for example with `track_activities` off."""

_GONE = (Unlinked.NO_ROW, Unlinked.PID_REUSED, Unlinked.SERVER_CHANGED)
_MAKES_PROGRESS = (Unlinked.WAITING_IN_POOLER, Unlinked.MOVED_ON)
"""A statement is running, or was a moment ago. A checkout that waits in PgBouncer is not the cause.

The diagnosis of the pool names the cause.
"""

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

    The `state` is its server's answer, or a `NoLink` if no server can be queried. With `is_proven`,
    a connection of the pool was linked before, so a missing session is a lost one. The checkouts
    behind linked sessions are `holders`, by (server, pid).
    """
    outcome = _outcome(state)
    standing = weigh_evidence(reported, state, now_s)
    evidence = reported.checkout.evidence if standing is Standing.STANDS else None
    verdict, reason = _find(reported, outcome, state, evidence, is_proven)
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
        blocked_by=_blockers(outcome, holders) if Verdict.BLOCKED in (verdict, probable) else (),
        probable=None if probable in _UNKNOWABLE else probable,
        standing=standing,
        evidence_age_s=reported.reported_at_s - reported.evidence_since_s,
    )


def _outcome(state: State | NoLink) -> Link | NoLink:
    if isinstance(state, Confirmed | Pending):
        return state.outcome
    return state if isinstance(state, NoLink) else NoLink(Unlinked.NOT_SAMPLED, None)


def _find(
    reported: CheckoutReport,
    outcome: Link | NoLink,
    state: State | NoLink,
    evidence: Evidence | None,
    is_proven: bool,
) -> _Finding:
    is_declared = reported.checkout.owner_kind is OwnerKind.LONG_LIVED
    if isinstance(outcome, NoLink):
        if isinstance(state, Confirmed) and outcome.reason is Unlinked.IDLE_IN_POOLER:
            held_s = reported.age_s(state.taken_at_s)
            return _idle_in_pooler(evidence, outcome, held_s, is_declared=is_declared)
        return _without_session(evidence, outcome.reason, is_proven)
    held_s = reported.age_s(outcome.taken_at_s)
    return _with_session(evidence, outcome.session, held_s, is_declared=is_declared)


def _without_session(evidence: Evidence | None, reason: Unlinked, is_proven: bool) -> _Finding:
    if reason is Unlinked.NOT_SAMPLED and not evidence:
        return Verdict.UNCONFIRMED, reason
    if reason is Unlinked.CLIENT_GONE or (reason in _GONE and is_proven):
        return (Verdict.LEAKED, LOST_SESSION) if evidence else (Verdict.LOST, reason)
    if reason in _MAKES_PROGRESS:
        return Verdict.WORKING, reason
    # If the server cannot be queried (a proxy, an outage), the application's evidence still counts.
    if evidence:
        return Verdict.LEAKED, reason
    # Without a proven path, no row may also mean that the PID belongs to another server.
    return Verdict.UNKNOWN, reason


def _idle_in_pooler(
    evidence: Evidence | None, outcome: NoLink, held_s: float, *, is_declared: bool
) -> _Finding:
    """Judge a connection that costs the server nothing: only the application's pool lacks it."""
    if evidence:
        return Verdict.LEAKED, outcome.reason
    if is_declared or outcome.was_active or held_s < HELD_IDLE_S:
        return Verdict.WORKING, outcome.reason
    # PgBouncer does not report since when it is idle, so the next poll decides whether it is long.
    is_long = (outcome.lasted_s or 0.0) >= HELD_IDLE_S
    return (Verdict.HELD_IDLE if is_long else Verdict.UNCONFIRMED), outcome.reason


def _with_session(
    evidence: Evidence | None, session: Session, held_s: float, *, is_declared: bool
) -> _Finding:
    if session.state is SessionState.ACTIVE:
        return _active(session), None
    if evidence:
        return Verdict.LEAKED, None
    # A connection may have been idle for an hour, but held for a second: only the latter counts.
    idle_s = min(session.state_age_s or 0.0, held_s)
    if session.state in _IN_TRANSACTION:
        # The state's age, because `xact_start` is NULL after a transaction is aborted.
        is_long = idle_s >= IDLE_IN_TRANSACTION_S
        return (Verdict.IDLE_IN_TRANSACTION if is_long else Verdict.WORKING), None
    if session.state is SessionState.IDLE:
        # Idle by declaration is no problem; idle in a transaction is one in any case.
        is_long = idle_s >= HELD_IDLE_S and not is_declared
        return (Verdict.HELD_IDLE if is_long else Verdict.WORKING), None
    if session.state is SessionState.STARTING:
        return Verdict.WORKING, None
    return Verdict.UNKNOWN, UNKNOWN_STATE


def _active(session: Session) -> Verdict:
    age_s = session.query_age_s or 0.0
    if session.wait_event_type == "Lock":
        # A statement cannot wait longer than it runs. An unknown age may be a long one.
        is_short = session.query_age_s is not None and age_s < BLOCKED_S
        return Verdict.WORKING if is_short else Verdict.BLOCKED
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

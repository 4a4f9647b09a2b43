"""Compare the evidence of a leak with the later activity of the checkout's server session.

The application detects that an owner has ended, not that the connection is unused: a request may
pass its session to a task. If a session begins statements after the owner has ended, it is still
used. And a session that is quiet in its pool is no leak: only the time counts in which the
application still reported the checkout.
"""

from enum import StrEnum
from typing import Final

from poolscope.catalogue import EVIDENCE_AFTER_S, Evidence
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.linking.confirmation import Confirmed, Pending, State
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked
from poolscope_exporter.core.model.sessions import Session, SessionState

ANSWER_WITHIN_S: Final = 30.0
"""Evidence counts without a server's answer after this time."""


class Standing(StrEnum):
    """Whether the evidence of a leak counts.

    With `stands`, the session has been quiet since the owner ended, or cannot be queried. With
    `open`, it has not been quiet for long enough yet. With `refuted`, it has begun a statement
    since.
    """

    STANDS = "stands"
    OPEN = "open"
    REFUTED = "refuted"


def weigh_evidence(reported: CheckoutReport, state: State | NoLink, now_s: float) -> Standing:
    """Return the standing of a checkout's evidence; STANDS if there is no evidence."""
    evidence = reported.checkout.evidence
    if evidence is None:
        return Standing.STANDS
    if isinstance(state, Confirmed | Pending):
        outcome = state.outcome
        if isinstance(outcome, Link):
            standing = _weigh_session(reported, evidence, outcome.session, outcome.taken_at_s)
            is_answered = outcome.taken_at_s >= reported.evidence_since_s
        else:
            at_s = state.taken_at_s if isinstance(state, Confirmed) else None
            standing, is_answered = _weigh_absence(reported, evidence, outcome, at_s), True
    else:
        is_asked = not isinstance(state, NoLink) or state.reason is Unlinked.NOT_SAMPLED
        standing, is_answered = (Standing.OPEN if is_asked else Standing.STANDS), False
    is_overdue = now_s - reported.evidence_since_s >= ANSWER_WITHIN_S and not is_answered
    return Standing.STANDS if standing is Standing.OPEN and is_overdue else standing


def _weigh_session(
    reported: CheckoutReport, evidence: Evidence, session: Session, at_s: float
) -> Standing:
    """Judge the evidence by the session's activity at `at_s`.

    The application waited for some time after the owner's end before it reported the evidence. The
    session must be quiet for the same time, because its user may pause between two statements.
    """
    after_s, is_active = EVIDENCE_AFTER_S[evidence], session.state is SessionState.ACTIVE
    age_s, quiet_s = session.query_age_s, 0.0 if is_active else session.state_age_s
    if quiet_s is None:
        return Standing.STANDS
    quiet_s = _quiet_while_out(reported, quiet_s, at_s)
    began_since = age_s is not None and at_s - age_s > reported.evidence_since_s - after_s
    if began_since and quiet_s < after_s:
        return Standing.REFUTED
    if is_active:
        return Standing.STANDS  # a statement that its owner began but did not finish
    is_quiet = quiet_s >= after_s and at_s >= reported.evidence_since_s
    return Standing.STANDS if is_quiet else Standing.OPEN


def _quiet_while_out(reported: CheckoutReport, quiet_s: float, at_s: float) -> float:
    """Return how much of the quiet before `at_s` lies before the checkout's last report.

    A connection that was returned since is quiet too, until the next push reports its return.
    """
    return min(quiet_s, reported.reported_at_s - (at_s - quiet_s))


def _weigh_absence(
    reported: CheckoutReport, evidence: Evidence, outcome: NoLink, at_s: float | None
) -> Standing:
    """Judge the evidence without a session; behind a PgBouncer, it may be idle or about to work.

    `at_s` is the time of the answer, None until it is confirmed. Until then a session may be gone
    because its connection was returned: a pool closes what it has beyond its size.
    """
    if outcome.was_active:
        return Standing.REFUTED
    if at_s is None:
        return Standing.OPEN
    if outcome.reason is Unlinked.IDLE_IN_POOLER:
        quiet_s = _quiet_while_out(reported, outcome.lasted_s or 0.0, at_s)
        return Standing.STANDS if quiet_s >= EVIDENCE_AFTER_S[evidence] else Standing.OPEN
    makes_progress = outcome.reason in {Unlinked.WAITING_IN_POOLER, Unlinked.MOVED_ON}
    return Standing.OPEN if makes_progress else Standing.STANDS

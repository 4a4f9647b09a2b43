"""Measure how long the sessions of held connections were idle, or in a transaction."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum

from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.service_totals.route_totals import ServiceTotals, service_pool_of
from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey, Instance
from poolscope_exporter.core.model.sessions import Session, SessionState
from poolscope_exporter.core.own_metrics import (
    HELD_IDLE_TIME,
    HELD_IN_TRANSACTION_TIME,
    HELD_SEEN_TIME,
)

IDLE = frozenset(
    {
        SessionState.IDLE,
        SessionState.IDLE_IN_TRANSACTION,
        SessionState.IDLE_IN_TRANSACTION_ABORTED,
    }
)
_IN_TRANSACTION = IDLE - {SessionState.IDLE} | {SessionState.ACTIVE}
MAX_SPANS = 16


@dataclass(slots=True)
class _Span:
    begin_s: float
    end_s: float


@dataclass(slots=True)
class _Spans:
    """Spans of one kind that no push has confirmed yet, in order and without overlap."""

    spans: list[_Span] = field(default_factory=list)
    seen_until_s: float = float("-inf")

    def add_span(self, begin_s: float, end_s: float) -> None:
        """Add the span, except for the part that was seen before."""
        begin_s = max(begin_s, self.seen_until_s)
        if begin_s >= end_s:
            return
        last = self.spans[-1] if self.spans else None
        if last and last.end_s == begin_s:
            last.end_s = end_s
        else:
            self.spans = [*self.spans, _Span(begin_s, end_s)][-MAX_SPANS:]
        self.seen_until_s = end_s

    def take_until(self, until_s: float) -> float:
        """Remove the spans before that time, and return their length."""
        taken_s = sum(max(0.0, min(span.end_s, until_s) - span.begin_s) for span in self.spans)
        for span in self.spans:
            span.begin_s = max(span.begin_s, until_s)
        self.spans = [span for span in self.spans if span.begin_s < span.end_s]
        return taken_s


class _Kind(Enum):
    """The observed state: idle; or, in any state, inside or outside a transaction."""

    IDLE = "idle"
    INSIDE = "inside"
    OUTSIDE = "outside"


_Record = dict[_Kind, _Spans]
"""The spans of one checkout."""


class HeldTime:
    """Seconds of held checkouts by the state of their sessions, as far as both sides were seen.

    The server reports since when a session is idle or in its transaction, so this was true until
    the query. A push reports that the checkout is still held, so only the time before it counts.
    Nothing is extrapolated: a state that began and ended between two samples is left out.

    The time in transactions is a part of the time with a known transaction state. Unknown time is
    in neither, so the quotient of both is the share of the observed time.
    """

    def __init__(self) -> None:
        self.totals = ServiceTotals()
        self._records: dict[CheckoutKey, _Record] = {}

    def record_session(self, reported: CheckoutReport, link: Link, took_s: float) -> None:
        """Record a server's answer about the checkout's session, which took `took_s`."""
        record = self._records.setdefault(reported.checkout.key, {})
        record.setdefault(_Kind.IDLE, _Spans())
        # The age was read between the query and its answer, so the later time is used.
        answered_s = link.taken_at_s + took_s
        for kind, age_s in _ages(link.session):
            begin_s = max(_held_since_s(reported), answered_s - age_s)
            record.setdefault(kind, _Spans()).add_span(begin_s, link.taken_at_s)

    def record_no_session(
        self, reported: CheckoutReport, outcome: NoLink, taken_at_s: float
    ) -> None:
        """Record that a pooler lends the checkout no session, so that it is in no transaction."""
        if outcome.reason is Unlinked.IDLE_IN_POOLER and outcome.lasted_s:
            record = self._records.setdefault(reported.checkout.key, {})
            begin_s = max(_held_since_s(reported), taken_at_s - outcome.lasted_s)
            record.setdefault(_Kind.OUTSIDE, _Spans()).add_span(begin_s, taken_at_s)

    def count_confirmed(self, checkout: Checkout, until_s: float, now_s: float) -> None:
        """Count the spans before `until_s`: a push shows the checkout held at that time."""
        record = self._records.get(checkout.key, {})
        counted = {kind: spans.take_until(until_s) for kind, spans in record.items()}
        inside_s, outside_s = counted.get(_Kind.INSIDE), counted.get(_Kind.OUTSIDE)
        found = {}
        if _Kind.IDLE in counted:
            found[HELD_IDLE_TIME] = counted[_Kind.IDLE]
        if inside_s is not None or outside_s is not None:
            found[HELD_IN_TRANSACTION_TIME] = inside_s or 0.0
            found[HELD_SEEN_TIME] = (inside_s or 0.0) + (outside_s or 0.0)
        pool, route = service_pool_of(checkout.pool), checkout.route or ""
        for metric, seconds in found.items():
            self.totals.add_growth(pool, route, metric.name, seconds, now_s)

    def keep_held(self, keys_alive: Collection[CheckoutKey]) -> None:
        """Drop the checkouts that are no longer held, with their unconfirmed spans."""
        for key in self._records.keys() - set(keys_alive):
            del self._records[key]

    def drop_process(self, instance: Instance) -> None:
        """Drop the checkouts of a restarted process."""
        self.keep_held([key for key in self._records if key.instance != instance])


def _held_since_s(reported: CheckoutReport) -> float:
    return reported.reported_at_s - reported.checkout.age_s


def _ages(session: Session) -> Iterator[tuple[_Kind, float]]:
    """Yield the states of a session with their ages; nothing if its state is unknown."""
    state, state_age_s = session.state, session.state_age_s
    if state in IDLE and state_age_s is not None:
        yield _Kind.IDLE, state_age_s
    if state is SessionState.IDLE and state_age_s is not None:
        yield _Kind.OUTSIDE, state_age_s
    # An aborted transaction has no start, but it has lasted since it was aborted.
    inside_s = state_age_s if session.xact_age_s is None else session.xact_age_s
    if state in _IN_TRANSACTION and inside_s is not None:
        yield _Kind.INSIDE, inside_s

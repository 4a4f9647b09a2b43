"""Measure how long held connections kept a server session that did nothing."""

from collections.abc import Collection
from dataclasses import dataclass, field

from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.route_totals import ServiceTotals, service_pool_of
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey, Instance
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.core.own_metrics import HELD_IDLE_TIME

IDLE = frozenset(
    {
        SessionState.IDLE,
        SessionState.IDLE_IN_TRANSACTION,
        SessionState.IDLE_IN_TRANSACTION_ABORTED,
    }
)
MAX_SPANS = 16


@dataclass(slots=True)
class _Span:
    begin_s: float
    end_s: float


@dataclass(slots=True)
class _IdleRecord:
    """What is known of one checkout: idle spans that no push confirmed, each after the last."""

    spans: list[_Span] = field(default_factory=list)
    seen_until_s: float = float("-inf")


class HeldIdle:
    """Seconds of held checkouts during which their sessions were idle, as far as both were seen.

    The server says since when a session is in its state: from then to the question it was idle.
    A push says that the checkout is still held: only what lies before it counts. So nothing is
    extrapolated, and idle spells that began and ended between two samples are left out.
    """

    def __init__(self) -> None:
        self.totals = ServiceTotals()
        self._records: dict[CheckoutKey, _IdleRecord] = {}

    def record_idle(self, reported: CheckoutReport, link: Link, took_s: float) -> None:
        """Note what a server said of the checkout's session; it took `took_s` to answer."""
        record = self._records.setdefault(reported.checkout.key, _IdleRecord())
        session = link.session
        if session.state not in IDLE or session.state_age_s is None:
            return
        held_since_s = reported.reported_at_s - reported.checkout.age_s
        # The age was read somewhere between the question and its answer: take the later.
        idle_since_s = link.taken_at_s + took_s - session.state_age_s
        begin_s = max(held_since_s, idle_since_s, record.seen_until_s)
        if begin_s < link.taken_at_s:
            _add(record, _Span(begin_s, link.taken_at_s))

    def count_confirmed(self, checkout: Checkout, until_s: float, now_s: float) -> None:
        """Count what was idle before `until_s`: a push shows the checkout held at that time."""
        record = self._records.get(checkout.key)
        if record is None:
            return
        idle_s = sum(max(0.0, min(span.end_s, until_s) - span.begin_s) for span in record.spans)
        for span in record.spans:
            span.begin_s = max(span.begin_s, until_s)
        record.spans = [span for span in record.spans if span.begin_s < span.end_s]
        route = checkout.route or ""
        self.totals.add_growth(
            service_pool_of(checkout.pool), route, HELD_IDLE_TIME.name, idle_s, now_s
        )

    def keep_held(self, keys_alive: Collection[CheckoutKey]) -> None:
        """Forget the checkouts that are no longer held, with what nothing confirmed of them."""
        for key in self._records.keys() - set(keys_alive):
            del self._records[key]

    def drop_process(self, instance: Instance) -> None:
        """Forget the checkouts of a process that started again."""
        self.keep_held([key for key in self._records if key.instance != instance])


def _add(record: _IdleRecord, span: _Span) -> None:
    last = record.spans[-1] if record.spans else None
    if last and last.end_s == span.begin_s:
        last.end_s = span.end_s
    else:
        record.spans = [*record.spans, span][-MAX_SPANS:]
    record.seen_until_s = span.end_s

"""Confirm a server's answer about a checkout by a later push that shows it still held."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from poolscope_exporter.core.linking.link import Link, NoLink, Unlinked
from poolscope_exporter.core.linking.link_history import LinkHistory
from poolscope_exporter.core.model.checkouts import CheckoutKey, Instance

CONFIRM_MARGIN_S: Final = 1.0
"""A push arrives within this time after its data was read in the process."""

END_MARGIN_S: Final = 0.25
"""The same for the end of a checkout; it confirms an answer only for the pool's diagnosis."""

Outcome = Link | NoLink

MAX_PENDING = 16


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The server's answer was about this checkout."""

    outcome: Outcome
    taken_at_s: float


@dataclass(frozen=True, slots=True)
class Pending:
    """The server answered, but perhaps about the next checkout on the same connection."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Unseen:
    """The server was not asked yet."""


State = Confirmed | Pending | Unseen


@dataclass(slots=True)
class _Unconfirmed:
    pending: list[Confirmed] = field(default_factory=list)
    confirmed: Confirmed | None = None


def sure_until(now_s: float, interval_s: float) -> float:
    """Return the time until which a checkout in a push at `now_s` was surely held."""
    return now_s - min(CONFIRM_MARGIN_S, interval_s / 2)


class Confirmations:
    """The servers' answers about each held checkout, and whether a later push confirmed them."""

    def __init__(self) -> None:
        self.link_history = LinkHistory()
        self._records: dict[CheckoutKey, _Unconfirmed] = {}

    def record_outcome(self, key: CheckoutKey, outcome: Outcome, taken_at_s: float) -> None:
        """Record a server's answer about the checkout's session, with the time of its query."""
        pending = self._records.setdefault(key, _Unconfirmed()).pending
        pending.append(Confirmed(outcome, taken_at_s))
        # A later push that confirms the first answer also confirms the second. The newest answer
        # that is old enough stays, so that polls faster than pushes cannot prevent the
        # confirmation.
        while len(pending) > 1 and pending[1].taken_at_s <= taken_at_s - CONFIRM_MARGIN_S:
            del pending[0]
        if len(pending) > MAX_PENDING:
            del pending[-2]

    def confirm_held(self, key: CheckoutKey, now_s: float, interval_s: float) -> None:
        """Record that a push at `now_s` shows the checkout still held."""
        record = self._records.get(key)
        if record is None:
            return
        until_s = sure_until(now_s, interval_s)
        sure = [answer for answer in record.pending if answer.taken_at_s <= until_s]
        if sure:
            record.confirmed = sure[-1]
            del record.pending[: len(sure)]

    def confirmed_by_end(self, key: CheckoutKey, ended_s: float, now_s: float) -> Confirmed | None:
        """Return the last answer that was surely about the checkout, which ended `ended_s` ago."""
        record = self._records.get(key)
        if record is None:
            return None
        until_s = now_s - ended_s - END_MARGIN_S
        sure = [answer for answer in record.pending if answer.taken_at_s <= until_s]
        return sure[-1] if sure else record.confirmed

    def confirmed_or_waiting(self, key: CheckoutKey) -> State:
        """Return the last confirmed answer, else the last answer that waits for confirmation."""
        record = self._records.get(key)
        if record is None:
            return Unseen()
        return record.confirmed or Pending(record.pending[-1].outcome)

    def is_missing(self, key: CheckoutKey) -> bool:
        """Return whether the server's last answer was that the session does not exist."""
        record = self._records.get(key)
        if record is None:
            return False
        last = record.pending[-1] if record.pending else record.confirmed
        outcome = last.outcome if last else None
        return isinstance(outcome, NoLink) and outcome.reason is Unlinked.NO_ROW

    def keep_only(self, keys_alive: Collection[CheckoutKey]) -> None:
        """Drop the checkouts that are no longer held."""
        for key in self._records.keys() - set(keys_alive):
            del self._records[key]

    def forget_server(self, server: str) -> None:
        """Drop the answers of a server, because another server has replaced it."""
        for key, record in list(self._records.items()):
            record.pending = [each for each in record.pending if each.outcome.server != server]
            if record.confirmed and record.confirmed.outcome.server == server:
                record.confirmed = None
            if not record.pending and not record.confirmed:
                del self._records[key]

    def drop_instance(self, instance: Instance) -> None:
        """Drop the answers about a restarted process, because its checkout ids start again."""
        self.keep_only([key for key in self._records if key.instance != instance])
        self.link_history.drop_links(instance)

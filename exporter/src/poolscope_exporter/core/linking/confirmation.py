"""Confirm what a server said of a checkout: by a later push that shows it still held."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from poolscope_exporter.core.linking.link import Link, NoLink
from poolscope_exporter.core.linking.link_history import LinkHistory
from poolscope_exporter.core.model.checkouts import CheckoutKey, Instance

CONFIRM_MARGIN_S: Final = 1.0
"""A push was on its way for less than this; what it shows was true this long before it came."""

Outcome = Link | NoLink

MAX_PENDING = 16


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The server's answer was about this checkout."""

    outcome: Outcome
    taken_at_s: float


@dataclass(frozen=True, slots=True)
class Pending:
    """The server answered; whether about this checkout or the next on its connection is open."""

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
    """Return until when, for sure, a checkout was held that a push of now still lists."""
    return now_s - min(CONFIRM_MARGIN_S, interval_s / 2)


class Confirmations:
    """What servers said of each held checkout, and which of it a later push confirmed."""

    def __init__(self) -> None:
        self.link_history = LinkHistory()
        self._records: dict[CheckoutKey, _Unconfirmed] = {}

    def record_outcome(self, key: CheckoutKey, outcome: Outcome, taken_at_s: float) -> None:
        """Note what a server said, at `taken_at_s`, of the checkout's session."""
        pending = self._records.setdefault(key, _Unconfirmed()).pending
        pending.append(Confirmed(outcome, taken_at_s))
        # Any push from now on confirms the second where it confirms the first. The newest that is
        # old enough stays, so polls faster than pushes never starve the confirmation.
        while len(pending) > 1 and pending[1].taken_at_s <= taken_at_s - CONFIRM_MARGIN_S:
            del pending[0]
        if len(pending) > MAX_PENDING:
            del pending[-2]

    def confirm_held(self, key: CheckoutKey, now_s: float, interval_s: float) -> None:
        """Note that a push at `now_s` shows the checkout still held."""
        record = self._records.get(key)
        if record is None:
            return
        until_s = sure_until(now_s, interval_s)
        sure = [answer for answer in record.pending if answer.taken_at_s <= until_s]
        if sure:
            record.confirmed = sure[-1]
            del record.pending[: len(sure)]

    def confirmed_or_waiting(self, key: CheckoutKey) -> State:
        """Return the last confirmed answer, else the one that waits for its confirmation."""
        record = self._records.get(key)
        if record is None:
            return Unseen()
        return record.confirmed or Pending(record.pending[-1].outcome)

    def keep_only(self, keys_alive: Collection[CheckoutKey]) -> None:
        """Forget the checkouts that are no longer held."""
        for key in self._records.keys() - set(keys_alive):
            del self._records[key]

    def forget_server(self, server: str) -> None:
        """Throw away what a server said: another one answers in its place."""
        for key, record in list(self._records.items()):
            record.pending = [each for each in record.pending if each.outcome.server != server]
            if record.confirmed and record.confirmed.outcome.server == server:
                record.confirmed = None
            if not record.pending and not record.confirmed:
                del self._records[key]

    def drop_instance(self, instance: Instance) -> None:
        """Forget a process that started again: its checkout ids start again as well."""
        self.keep_only([key for key in self._records if key.instance != instance])
        self.link_history.drop_links(instance)

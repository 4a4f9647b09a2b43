"""Judge the record of an incident against its truth and the targets."""

from collections.abc import Iterable
from dataclasses import dataclass

from poolscope_generators.incidents.record import (
    FIRING,
    PAGER,
    RESOLVED,
    Fired,
    Record,
    Sent,
    Shown,
)

DIAGNOSED_WITHIN_S = 15.0
ON_THE_WAY_S = 35.0
"""Two scrapes' intervals (one to see it, one to evaluate), and a push or a poll."""
MOST_CRITICAL = 2
HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one incident; None where it never happened.

    `diagnosed` is the first right diagnosis, `fired` and `sent` are the first right alert and the
    first right message. `first` is the first message of all, `due_s` the time by which it must have
    come. `calm_s` and `resolved_s` count from the cure.
    """

    record: Record
    diagnosed: Shown | None
    fired: Fired | None
    first: Sent | None
    sent: Sent | None
    due_s: float | None
    critical: int
    others: int
    critical_after: int
    others_after: int
    calm_s: float | None
    resolved_s: float | None

    @property
    def is_named_first(self) -> bool:
        """Return whether the first message has the right name, or rightly none was sent."""
        truth = self.record.truth
        if truth.is_harmless:
            return self.first is None
        return self.first is not None and _is_right(self.first, self.record)

    @property
    def is_diagnosed_in_time(self) -> bool:
        """Return whether the diagnosis was right in time."""
        truth = self.record.truth
        if truth.is_harmless:
            return not accusations(self.record)
        if not truth.diagnosis:
            return True
        limit_s = max(DIAGNOSED_WITHIN_S, truth.evidence_after_s + DIAGNOSED_WITHIN_S)
        return self.diagnosed is not None and self.diagnosed.at_s <= limit_s

    @property
    def is_sent_in_time(self) -> bool:
        """Return whether the right message came within the delays that the files prescribe."""
        if self.record.truth.is_harmless:
            return True
        return self.sent is not None and self.due_s is not None and self.sent.at_s <= self.due_s

    @property
    def is_one_page(self) -> bool:
        """Return whether no more critical messages came than a person on call accepts."""
        return self.critical <= MOST_CRITICAL

    @property
    def is_quiet_after(self) -> bool:
        """Return whether no critical message came after the cure."""
        return self.critical_after == 0

    @property
    def misses(self) -> list[str]:
        """Return the targets that were missed."""
        targets = {
            "right name first": self.is_named_first,
            "diagnosis in time": self.is_diagnosed_in_time,
            "message in time": self.is_sent_in_time,
            f"at most {MOST_CRITICAL} critical messages": self.is_one_page,
            "none after the cure": self.is_quiet_after,
        }
        return [target for target, is_met in targets.items() if not is_met]


def judge(record: Record) -> Outcome:
    """Return the outcome of an incident."""
    firing = [each for each in record.sent if each.status == FIRING and each.at_s >= 0]
    right = [each for each in firing if _is_right(each, record)]
    right_fired = [each for each in record.fired if each.name in record.truth.alerts]
    sent = right[0] if right else None
    during = [each for each in firing if each.at_s <= record.lasted_s]
    after = [each for each in firing if each.at_s > record.lasted_s]
    return Outcome(
        record,
        diagnosed=_first_right(record),
        fired=min(right_fired, key=lambda each: each.first_s, default=None),
        first=firing[0] if firing else None,
        sent=sent,
        due_s=_due_s(sent, record) if sent else None,
        critical=_messages(during, of_pager=True),
        others=_messages(during, of_pager=False),
        critical_after=_messages(after, of_pager=True),
        others_after=_messages(after, of_pager=False),
        calm_s=_calm_s(record),
        resolved_s=_resolved_s(record),
    )


def accusations(record: Record) -> list[Shown]:
    """Return what was shown of the pools while it ran, except that they are healthy."""
    within = [each for each in record.shown if 0 <= each.at_s <= record.lasted_s]
    return [each for each in within if each.diagnosis != HEALTHY and each.reason]


def _is_right(sent: Sent, record: Record) -> bool:
    truth = record.truth
    return sent.name in truth.alerts and truth.severity in ("", sent.severity)


def _first_right(record: Record) -> Shown | None:
    right = [each for each in record.shown if each.diagnosis in record.truth.diagnosis]
    return next((each for each in right if 0 <= each.at_s <= record.lasted_s), None)


def _due_s(sent: Sent, record: Record) -> float:
    delays = record.delays
    lasting_s = delays.for_s.get(f"{sent.name}/{sent.severity}", 0.0)
    waiting_s = delays.group_wait_s.get(sent.receiver, 0.0)
    evidence_s = max(record.truth.evidence_after_s, record.truth.told_after_s)
    return evidence_s + lasting_s + waiting_s + ON_THE_WAY_S


def _messages(sent: Iterable[Sent], *, of_pager: bool) -> int:
    """Return the number of notifications: one may have several alerts."""
    return len(
        {(each.at_s, each.receiver) for each in sent if (each.receiver == PAGER) is of_pager}
    )


def _calm_s(record: Record) -> float | None:
    """Return when the last alert stopped firing, from the cure on; None while one still fires."""
    last_s = max((each.last_s for each in record.fired), default=record.lasted_s)
    is_over = last_s < record.until_s - ON_THE_WAY_S
    return max(0.0, last_s - record.lasted_s) if is_over else None


def _resolved_s(record: Record) -> float | None:
    """Return when the message came that the right alert is resolved, from the cure on."""
    resolved = [
        each.at_s - record.lasted_s
        for each in record.sent
        if each.status == RESOLVED and each.name in record.truth.alerts
    ]
    return next((at_s for at_s in resolved if at_s >= 0), None)

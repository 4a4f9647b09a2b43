"""Record the data of each sender that is not kept; log one warning for each sender and reason."""

import logging
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from poolscope.catalogue import WIRE_VERSION
from poolscope_exporter.core.admission.family_kinds import KindConflict
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fair_shares import owner_of
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.core.model.rejected_data import RejectedData

MAX_WARNED: Final = 1_000
"""The most warnings of each sort: senders can invent names of services and metrics."""

MAX_REJECTED: Final = 200
"""The most pairs of sender and reason that are recorded; the one unseen for longest goes first."""

SHOWN_FOR_S: Final = 600.0
"""Seconds after which a sender and reason is no longer reported."""

_ORDINARY: Final = frozenset({Refusal.OUT_OF_ORDER.value})
"""A late retry loses nothing: a newer push has arrived."""

_HAS_OWN_SENTENCE: Final = frozenset({Refusal.CONFLICTING_KIND.value})
_SHARED: Final = Refusal.SHARED_INSTANCE.value

_log = logging.getLogger("poolscope_exporter")


class SenderWarnings:
    """The data that was not kept, by sender and reason, and the warnings that are in the log."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, str]] = set()
        self._disputed: set[tuple[str, str]] = set()
        self._newer: set[str] = set()
        self._rejected: OrderedDict[tuple[str, str], RejectedData] = OrderedDict()

    def log_result(self, push: Push, result: PushResult, now_s: float) -> None:
        """Record the refused parts of a push, and log each new reason of its sender once."""
        sender = owner_of(push).strip("/")
        self._warn_of_version(sender, push.wire_version)
        refused = {**push.unread, **result.refused}
        for reason, count in refused.items():
            if reason not in _ORDINARY:
                self._record(sender, reason, count, result.examples.get(reason), now_s)
        if result.warning:
            self._record(sender, _SHARED, 1, None, now_s)
            self._warn_once(sender, _SHARED, result.warning)
        for conflict in sorted(result.conflicts, key=lambda each: each.metric):
            self._warn_of_kinds(push.instance, conflict)
        for reason in refused.keys() - _ORDINARY - _HAS_OWN_SENTENCE:
            self._warn_once(sender, reason, self._sentence(sender, reason))

    def rejected_data(self, now_s: float) -> tuple[RejectedData, ...]:
        """Return the data that was not kept in the last minutes, by sender and reason."""
        since_s = now_s - SHOWN_FOR_S
        return tuple(each for each in self._rejected.values() if each.last_at_s >= since_s)

    def _record(
        self, sender: str, reason: str, count: int, metric: str | None, now_s: float
    ) -> None:
        key = sender, reason
        known = self._rejected.pop(key, RejectedData(sender, reason, 0, now_s))
        self._rejected[key] = replace(
            known, count=known.count + count, last_at_s=now_s, metric=metric or known.metric
        )
        if len(self._rejected) > MAX_REJECTED:
            self._rejected.popitem(last=False)

    def _sentence(self, sender: str, reason: str) -> str:
        metric = self._rejected[sender, reason].metric
        example = f", for example of {metric}" if metric else ""
        return f"the receiver left out a part of a push{example}: {reason}"

    def _warn_once(self, sender: str, reason: str, message: str) -> None:
        known = sender, reason
        if known not in self._warned and len(self._warned) < MAX_WARNED:
            self._warned.add(known)
            _log.warning("sender %s: %s", sender, message)

    def _warn_of_version(self, sender: str, version: int) -> None:
        if version > WIRE_VERSION and sender not in self._newer and len(self._newer) < MAX_WARNED:
            self._newer.add(sender)
            _log.warning(
                "sender %s pushes wire version %d, and this exporter reads %d: held checkouts may"
                " be judged wrongly; upgrade the exporter before its apps",
                sender,
                version,
                WIRE_VERSION,
            )

    def _warn_of_kinds(self, instance: Instance, conflict: KindConflict) -> None:
        service = f"{instance.namespace}/{instance.name}".strip("/")
        known = service, conflict.metric
        if known not in self._disputed and len(self._disputed) < MAX_WARNED:
            self._disputed.add(known)
            _log.warning(
                "service %s pushes %s as %s, but it was pushed as %s before: the receiver left out"
                " these points; use one kind of instrument for this name in all services",
                service,
                conflict.metric,
                conflict.pushed.value,
                conflict.kept.value,
            )

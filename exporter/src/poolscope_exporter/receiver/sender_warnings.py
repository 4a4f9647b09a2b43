"""Log one warning for each fault of a sender's configuration; its push gets the same answer."""

import logging
from typing import Final

from poolscope.catalogue import WIRE_VERSION
from poolscope_exporter.core.admission.family_kinds import KindConflict
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fair_shares import owner_of
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Push

MAX_WARNED: Final = 1_000
"""The most warnings of each sort: senders can invent names of services and metrics."""

_log = logging.getLogger("poolscope_exporter")


class SenderWarnings:
    """The warnings about senders that are in the log already."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, Refusal]] = set()
        self._disputed: set[tuple[str, str]] = set()
        self._newer: set[str] = set()

    def log_result(self, push: Push, result: PushResult) -> None:
        """Log the warnings that the result of a push gives reason for, each of them once."""
        sender = owner_of(push)
        self._warn_of_version(sender, push.wire_version)
        if result.warning:
            self._warn_once(sender, Refusal.SHARED_INSTANCE, result.warning)
        for refusal in result.limits:
            self._warn_once(sender, refusal, f"the receiver left out a part of a push: {refusal}")
        for conflict in sorted(result.conflicts, key=lambda each: each.metric):
            self._warn_of_kinds(push.instance, conflict)

    def _warn_once(self, sender: str, refusal: Refusal, message: str) -> None:
        known = sender, refusal
        if known not in self._warned and len(self._warned) < MAX_WARNED:
            self._warned.add(known)
            _log.warning("sender %s: %s", sender.strip("/"), message)

    def _warn_of_version(self, sender: str, version: int) -> None:
        if version > WIRE_VERSION and sender not in self._newer and len(self._newer) < MAX_WARNED:
            self._newer.add(sender)
            _log.warning(
                "sender %s pushes wire version %d, and this exporter reads %d: held checkouts may"
                " be judged wrongly; upgrade the exporter before its apps",
                sender.strip("/"),
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

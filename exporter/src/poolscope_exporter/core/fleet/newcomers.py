"""Tell new processes from those that are merely new to us: only the former count from zero."""

from poolscope.catalogue import PROCESS_PID
from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S, UNTOLD_INTERVAL_S
from poolscope_exporter.core.model.checkouts import Instance, Push

MAX_LEFT = 10_000
"""Processes that are remembered by name alone; the oldest go first."""


class Newcomers:
    """Since when this exporter listens, and the names of the processes that it forgot."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._left: dict[tuple[Instance, str], None] = {}

    def is_new(self, push: Push, now_s: float) -> bool:
        """Return whether nothing that the process counted so far was ever counted here.

        Asked of the first push that is heard of a process. An exporter that ran before this one
        may have counted it, or this one until it forgot the process. Every attempt to push has a
        number, so that the number tells how long ago the first one was.
        """
        self._began_s = now_s if self._began_s is None else self._began_s
        if push.sequence is None or _name(push) in self._left:
            return False
        first_push_age_s = (push.sequence - 1) * (push.interval_s or UNTOLD_INTERVAL_S)
        return first_push_age_s <= min(now_s - self._began_s, COUNTER_RETENTION_S)

    def left(self, instance: Instance, process_pid: str) -> None:
        """Note that a process is forgotten."""
        self._left[instance, process_pid] = None
        if len(self._left) > MAX_LEFT:
            del self._left[next(iter(self._left))]


def _name(push: Push) -> tuple[Instance, str]:
    return push.instance, push.resource.get(PROCESS_PID, "")

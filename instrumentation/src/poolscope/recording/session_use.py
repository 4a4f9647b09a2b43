"""Detect connections that several requests or tasks use during one checkout.

A session belongs to one request or task. A legal hand-over has one successor: the owner ends, and
the successor continues. Any other user shares the transaction, and reads what others have written.
"""

from asyncio import Task
from collections import Counter
from typing import Any
from weakref import ReferenceType, ref

from poolscope.catalogue import SharedReason
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.requests import Request
from poolscope.recording.tasks import running_task

MAX_PAIRS = 6
"""Most reasons and pairs of lines that a pool counts separately; more are counted without lines."""

MAX_TASKS = 8
"""Most tasks that are recorded for one checkout."""

SharedKey = tuple[SharedReason, str, str]
"""Reason, line that took the connection, and line that also used it; empty if unknown."""

_TaskReference = ReferenceType[Task[Any]]


class SessionUse:
    """The users of one checkout, `out`, since it was taken."""

    __slots__ = ("last", "out", "successor", "tasks")

    def __init__(self, out: object) -> None:
        self.out = out
        self.successor: ReferenceType[Request] | None = None
        self.last: _TaskReference | None = None
        self.tasks: list[_TaskReference] = []


def reason_of_use(
    use: SessionUse, taker: Request | None, request: Request | None
) -> SharedReason | None:
    """Return why a use by `request`, or by the running task, is shared; None if it is not.

    `taker` is the request that took the connection. Call this only if the two requests differ.
    A block that declares a connection long-lived is not a request, but replaces one here.
    """
    if request is not None and not request.long_lived:
        return _reason_among_requests(use, taker, request)
    return None if taker is not None else _reason_among_tasks(use)


def _reason_among_requests(
    use: SessionUse, taker: Request | None, request: Request
) -> SharedReason | None:
    if taker is not None and not taker.long_lived and taker.finished_at_s is None:
        return SharedReason.REQUESTS
    if use.successor is None:
        use.successor = ref(request)
        return None
    return None if use.successor() is request else SharedReason.REQUESTS


def _reason_among_tasks(use: SessionUse) -> SharedReason | None:
    """Return whether the running task takes turns with another task that has not ended.

    A task that waits until another task has used the session does not count as taking turns: the
    other task ends first.
    """
    task = running_task()
    last = use.last() if use.last is not None else None
    if task is None or task is last:
        return None
    is_back = any(known() is task for known in use.tasks)
    use.last = ref(task)
    if not is_back and len(use.tasks) < MAX_TASKS:
        use.tasks.append(use.last)
    takes_turns = is_back and last is not None and not last.done()
    return SharedReason.TASKS if takes_turns else None


def count_shared(
    counts: Counter[SharedKey], reason: SharedReason, taken_at: Site, used_at: Site
) -> None:
    """Count a shared use by its reason and its two lines."""
    key = (reason, _label(taken_at), _label(used_at))
    is_room = key in counts or len(counts) < MAX_PAIRS
    counts[key if is_room else (reason, "", "")] += 1


def _label(site: Site) -> str:
    return "" if site is UNKNOWN_SITE else site.label

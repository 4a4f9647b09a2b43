"""Describe the callers that wait for a connection, while they are blocked."""

from collections.abc import Iterable
from typing import NamedTuple

from poolscope.catalogue import Phase
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import Owner, running_owner

CALLER_PHASES = (Phase.QUEUE, Phase.CONNECT, Phase.PING)
"""The phases that callers are counted in.

Not `reset`: each return would pay for it. A connection counts as checked out until its reset has
ended, so a return that hangs there is a held checkout.
"""


class Waiter(NamedTuple):
    """A blocked caller: what it waits for, since when, and who it is.

    A liveness check comes before each checkout, so its waiter has no site: to find it would cost
    more than the rest.
    """

    phase: Phase
    since_s: float
    """By `clock.monotonic`."""
    site: Site
    owner: Owner
    request: Request | None


def blocked_caller(phase: Phase, since_s: float, site: Site, owner: Owner) -> Waiter:
    """Return the waiter for a caller at `site`, with the request that runs now."""
    return Waiter(phase, since_s, site, owner, CURRENT.get())


def pinging_caller(since_s: float) -> Waiter:
    """Return the waiter for a caller whose connection is about to be tested."""
    return Waiter(Phase.PING, since_s, UNKNOWN_SITE, running_owner(), CURRENT.get())


def oldest_by_phase(waiters: Iterable[Waiter], now_s: float) -> dict[Phase, tuple[int, float]]:
    """Return for each phase how many callers wait, and the age of the oldest in seconds."""
    found = dict.fromkeys(CALLER_PHASES, (0, 0.0))
    for waiter in waiters:
        count, age_s = found[waiter.phase]
        found[waiter.phase] = count + 1, max(age_s, now_s - waiter.since_s)
    return found

"""Record the state of a pool in the caller that gives up: a moment later, holders may be gone.

The caller has waited for seconds, so the cost does not matter to it. Like all code that hooks
call, this takes no lock and logs nothing.
"""

from collections import defaultdict
from collections.abc import Iterable

from poolscope.recording.exhaustion import Exhaustion, HolderThen, WaitersThen
from poolscope.recording.leaks import kind_of_owner
from poolscope.recording.pool import OpenCheckout, PoolStats, Slot
from poolscope.recording.requests import Request
from poolscope.recording.waiters import Waiter, oldest_by_phase

LOOK_AGAIN_S = 3600.0
"""Time-outs often come in large numbers, so the state is recorded once in this time."""

LISTED = 20
"""Most holders, and most groups of waiters, that are kept."""


def look_at_timeout(stats: PoolStats, now_s: float) -> None:
    """Record holders and waiters for the pusher to log, at the first time-out in a while."""
    if now_s >= stats.look_again_at_s:
        stats.look_again_at_s = now_s + LOOK_AGAIN_S
        stats.exhaustion = exhaustion_of(stats, now_s)


def exhaustion_of(stats: PoolStats, now_s: float) -> Exhaustion:
    """Return the state of the pool at `now_s`; each list begins with the oldest."""
    slots = dict(stats.slots)
    state = stats.reader.state(slots)
    outs = [(slot, slot.out) for slot in slots.values()]
    held = [(slot, OpenCheckout._make(out)) for slot, out in outs if out is not None]
    held.sort(key=lambda pair: pair[1].taken_at_s)
    waiters = list(stats.waiting.values())
    return Exhaustion(
        used=None if state is None else state.used,
        idle=None if state is None else state.idle,
        held_total=len(held),
        holders=tuple(_holder(slot, checkout, now_s) for slot, checkout in held[:LISTED]),
        waiting={phase: count for phase, (count, _) in oldest_by_phase(waiters, now_s).items()},
        waiters=tuple(_groups(waiters, now_s)[:LISTED]),
    )


def _holder(slot: Slot, checkout: OpenCheckout, now_s: float) -> HolderThen:
    return HolderThen(
        checkout.id,
        checkout.site,
        _route_of(checkout.request),
        kind_of_owner(checkout.owner, checkout.request),
        now_s - checkout.taken_at_s,
        slot.facts.backend_pid,
    )


def _groups(waiters: Iterable[Waiter], now_s: float) -> list[WaitersThen]:
    together = defaultdict(list)
    for waiter in waiters:
        together[waiter.phase, waiter.site, _route_of(waiter.request)].append(waiter.since_s)
    groups = [WaitersThen(*key, len(times), now_s - min(times)) for key, times in together.items()]
    return sorted(groups, key=lambda group: -group.oldest_s)


def _route_of(request: Request | None) -> str | None:
    return request.route if request is not None else None

"""Describe an exhausted pool when callers time out: its numbers, and who holds the connections."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from poolscope.pushing.held_checkouts import Holder
from poolscope.recording.leaks import owner_kind
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, PoolStats

REPORT_AGAIN_S = 300.0
"""Time-outs come in swarms: one report says it, and the next only after this time."""

HOLDERS_SHOWN = 10


@dataclass(slots=True)
class TimeoutReports:
    """Which pools have timed out since we last looked, at most once in a while."""

    _seen: dict[PoolIdentity, int] = field(default_factory=dict)
    _reported_at_s: dict[PoolIdentity, float] = field(default_factory=dict)

    def is_due(self, identity: PoolIdentity, timeouts: int, now_s: float) -> bool:
        """Return whether the pool's first time-out in a while is news; `timeouts` is the total."""
        is_new = timeouts > self._seen.get(identity, 0)
        self._seen[identity] = timeouts
        last_s = self._reported_at_s.get(identity)
        if not is_new or (last_s is not None and now_s - last_s < REPORT_AGAIN_S):
            return False
        self._reported_at_s[identity] = now_s
        return True


def describe_exhaustion(identity: PoolIdentity, stats: PoolStats, holders: Sequence[Holder]) -> str:
    """Return the report: the numbers as of now, then the holders, oldest first."""
    state = stats.reader.state(stats.slots.copy())
    configuration = stats.reader.configuration()
    lines = [f"pool {identity.name}: {_numbers(state, configuration, len(stats.waiting))}"]
    lines += [_holder(held) for held in holders[:HOLDERS_SHOWN]]
    if len(holders) > HOLDERS_SHOWN:
        lines.append(f"  and {len(holders) - HOLDERS_SHOWN} more")
    return "\n".join(lines)


def _numbers(state: PoolState | None, configuration: PoolConfiguration | None, waiting: int) -> str:
    used = "?" if state is None else state.used
    idle = "?" if state is None else state.idle
    limit = configuration.max if configuration else None
    timeout_s = configuration.timeout_s if configuration else None
    after = "" if timeout_s is None else f" after {timeout_s:g} s"
    return (
        f"callers gave up{after}; now {used} used of {'?' if limit is None else limit},"
        f" {idle} idle, {waiting} waiting; held by:"
    )


def _holder(held: Holder) -> str:
    checkout = held.checkout
    place, request = checkout.site.place, checkout.request
    line = f"{place[0]}:{place[1]} in {place[2]}" if place else "an unknown line"
    route = (request.route if request is not None else None) or "no route"
    evidence = f", evidence {held.evidence.value}" if held.evidence else ""
    pid = held.slot.facts.backend_pid
    session = f", backend {pid}" if pid is not None else ""
    owner = owner_kind(checkout).value
    return f"  {held.age_s:8.1f} s  {route}  {line}  ({owner}{evidence}{session})"

"""Describe an exhausted pool when callers time out: its numbers, its holders and its waiters."""

from collections.abc import Callable, Iterable, Iterator

from poolscope.catalogue import Evidence, Phase
from poolscope.recording.callsite import Site
from poolscope.recording.exhaustion import Exhaustion, HolderThen, WaitersThen
from poolscope.recording.pool import PoolConfiguration

EvidenceOf = Callable[[int], Evidence | None]
"""Returns the evidence of a leak for a checkout, by its id."""

_WAITING_FOR = {
    Phase.QUEUE: "in the queue",
    Phase.CONNECT: "for a new connection",
    Phase.PING: "for a liveness check",
}


NowOf = Callable[[int], str]
"""Returns where the owner of a checkout is now, by its id; empty if unknown."""


def _not_seen(_: int) -> str:
    return ""


def describe_exhaustion(
    name: str,
    exhaustion: Exhaustion,
    configuration: PoolConfiguration | None,
    evidence_of: EvidenceOf,
    outside: Iterable[str] = (),
    *,
    now_of: NowOf = _not_seen,
) -> str:
    """Return the report: the numbers at the time-out, then holders and waiters, oldest first.

    `outside` are causes outside the pool. Where each holder is now comes from `now_of`.
    """
    lines = [f"pool {name}: {_numbers(exhaustion, configuration)}"]
    for held in exhaustion.holders:
        lines.append(_holder(held, evidence_of(held.checkout_id)))
        if now := now_of(held.checkout_id):
            lines.append(f"              {now}")
    if exhaustion.held_total > len(exhaustion.holders):
        lines.append(f"  and {exhaustion.held_total - len(exhaustion.holders)} more")
    lines += _waiters(exhaustion)
    lines += outside
    return "\n".join(lines)


def _numbers(exhaustion: Exhaustion, configuration: PoolConfiguration | None) -> str:
    limit = configuration.max if configuration else None
    timeout_s = configuration.timeout_s if configuration else None
    after = "" if timeout_s is None else f" after {timeout_s:g} s"
    holders = "held by:" if exhaustion.held_total else "nobody held a connection"
    return (
        f"callers gave up{after}; now {_known(exhaustion.used)} used of {_known(limit)},"
        f" {_known(exhaustion.idle)} idle, {sum(exhaustion.waiting.values())} waiting; {holders}"
    )


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)


def _holder(held: HolderThen, evidence: Evidence | None) -> str:
    reason = f", evidence {evidence.value}" if evidence else ""
    session = f", backend {held.backend_pid}" if held.backend_pid is not None else ""
    owner = held.owner.value
    return f"  {held.age_s:8.1f} s  {_place(held.route, held.site)}  ({owner}{reason}{session})"


def _waiters(exhaustion: Exhaustion) -> Iterator[str]:
    """Return the lines of each phase with waiters; only the oldest groups are listed."""
    for phase, count in exhaustion.waiting.items():
        if not count:
            continue
        yield f"{count} waiting {_WAITING_FOR.get(phase, phase.value)}:"
        groups = [group for group in exhaustion.waiters if group.phase is phase]
        yield from map(_group, groups)
        left_out = count - sum(group.count for group in groups)
        if left_out:
            yield f"  and {left_out} more"


def _group(group: WaitersThen) -> str:
    return f"  {group.oldest_s:8.1f} s  {_place(group.route, group.site)}  ({group.count} waiting)"


def _place(route: str | None, site: Site) -> str:
    place = site.place
    line = f"{place[0]}:{place[1]} in {place[2]}" if place else "an unknown line"
    return f"{route or 'no route'}  {line}"

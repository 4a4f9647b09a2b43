"""Decide which incident gives way when there are too many: no sender pushes out the others."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from poolscope_exporter.core.incidents.incident import Incident

MAX_INCIDENTS: Final = 50
"""The most incidents that are kept, open ones included."""

PROTECTED_S: Final = 24 * 3600.0
"""An ended incident of a small sender stays for this long, whatever other senders do."""


def replaced_by(owner: str, kept: Sequence[Incident], now_s: float) -> str | None:
    """Return the id of the incident that a new one of this sender replaces; None if none does.

    Call this only if there is no free room. Among the senders with as many incidents or more, the
    oldest ended incident of the largest one gives way. Without one, it is the oldest incident that
    is no longer protected. An open incident gives way only to a sender with at least two fewer.
    """
    used = Counter(each.owner for each in kept)
    ended = [each for each in kept if each.ended]
    of_heavier = [each for each in ended if used[each.owner] >= used[owner]]
    if of_heavier:
        return min(of_heavier, key=lambda each: (-used[each.owner], each.began_at_s)).id
    stale = [each for each in ended if each.evidence_at_s <= now_s - PROTECTED_S]
    if stale:
        return min(stale, key=lambda each: each.began_at_s).id
    heaviest = max(used, key=lambda name: used[name])
    if used[heaviest] < used[owner] + 2:
        return None
    # The newest: a sender that begins many incidents at once loses these, and no earlier one.
    return max(
        (each for each in kept if each.owner == heaviest), key=lambda each: each.began_at_s
    ).id

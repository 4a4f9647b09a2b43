"""List the callers that have waited longest, only for the exporter."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from poolscope import catalogue
from poolscope.pushing.looks.sightings import FindSighting, now_attributes, unseen
from poolscope.pushing.samples import AttributeValue, Sample, identity_attributes
from poolscope.recording.leaks import kind_of_owner
from poolscope.recording.pool import PoolIdentity, PoolStats
from poolscope.recording.waiters import Waiter

MAX_WAITERS_LISTED = 100
"""Most waiting callers that one push lists, over all pools of the process, oldest first."""


@dataclass(frozen=True, slots=True)
class ListedWaiter:
    """One waiting caller, with the pool that it waits for; `id` is unique in the process."""

    identity: PoolIdentity
    id: int
    waiter: Waiter


@dataclass(slots=True)
class WaiterList:
    """All waiting callers of the process: call `list_waiters` per pool, then `waiter_samples`."""

    now_s: float
    waiting_after_s: float
    _waiters: list[ListedWaiter] = field(default_factory=list)
    _identities: list[PoolIdentity] = field(default_factory=list)
    find_sighting: FindSighting = unseen

    def list_waiters(self, identity: PoolIdentity, stats: PoolStats) -> None:
        """Add the callers of one pool that have waited for at least `waiting_after_s`."""
        self._identities.append(identity)
        since_s = self.now_s - self.waiting_after_s
        self._waiters += [
            ListedWaiter(identity, token, waiter)
            for token, waiter in dict(stats.waiting).items()
            if waiter.since_s <= since_s
        ]

    def waiter_samples(self) -> Iterator[Sample]:
        """Return the list, and for each pool the numbers of waiting and listed ones, even if 0."""
        oldest = sorted(self._waiters, key=lambda listed: listed.waiter.since_s)
        listed = oldest[:MAX_WAITERS_LISTED]
        for each in listed:
            age_s = self.now_s - each.waiter.since_s
            now = now_attributes(self.find_sighting(each.id), self.now_s)
            yield Sample(catalogue.WAITER_AGE, _attributes(each) | now, age_s)
        for identity in self._identities:
            own = identity_attributes(identity)
            waiting_here = sum(each.identity == identity for each in self._waiters)
            listed_here = sum(each.identity == identity for each in listed)
            yield Sample(catalogue.WAITERS_WAITING, own, waiting_here)
            yield Sample(catalogue.WAITERS_LISTED, own, listed_here)


def _attributes(listed: ListedWaiter) -> dict[str, AttributeValue]:
    waiter = listed.waiter
    request, place = waiter.request, waiter.site.place
    optional: dict[str, AttributeValue | None] = {
        catalogue.HTTP_ROUTE: request.route if request is not None else None,
        catalogue.CODE_FILE_PATH: place[0] if place else None,
        catalogue.CODE_LINE_NUMBER: place[1] if place else None,
        catalogue.CODE_FUNCTION_NAME: place[2] if place else None,
    }
    own = identity_attributes(listed.identity)
    own |= {catalogue.WAITER_ID: listed.id, catalogue.PHASE: waiter.phase.value}
    own |= {catalogue.OWNER_KIND: kind_of_owner(waiter.owner, request).value}
    return own | {name: value for name, value in optional.items() if value is not None}

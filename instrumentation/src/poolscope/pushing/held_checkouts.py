"""List the current holders of connections, only for the exporter."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from poolscope import catalogue
from poolscope.catalogue import Evidence, OwnerKind
from poolscope.pushing.looks.sightings import FindSighting, now_attributes, unseen
from poolscope.pushing.samples import AttributeValue, Sample, identity_attributes
from poolscope.recording.leaks import LeakDetector, kind_of_owner
from poolscope.recording.pool import OpenCheckout, PoolIdentity, PoolStats, Slot
from poolscope.recording.tracing import trace_id_of

MAX_LISTED = 500
"""Most checkouts that one push lists, over all pools of the process, oldest first."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One held checkout, with its pool and connection."""

    identity: PoolIdentity
    slot: Slot
    checkout: OpenCheckout
    evidence: Evidence | None
    age_s: float


@dataclass(slots=True)
class HolderList:
    """All held checkouts of the process: call `list_held` for each pool, then `held_samples`."""

    now_s: float
    held_after_s: float
    _held: list[Holder] = field(default_factory=list)
    _pools: list[tuple[PoolIdentity, PoolStats]] = field(default_factory=list)
    find_sighting: FindSighting = unseen

    def list_held(self, identity: PoolIdentity, stats: PoolStats, leaks: LeakDetector) -> None:
        """Add the checkouts of one pool that are old enough, or have evidence of a leak.

        Leaks that are no longer out are counted as recovered at once. The exporter reads both the
        list and the counter. It would take a leak that is in neither of them for a lost one.
        """
        self._pools.append((identity, stats))
        slots = list(stats.slots.values())
        outs = [(slot, slot.out) for slot in slots]  # read once, because the application continues
        pairs = [(slot, OpenCheckout._make(out)) for slot, out in outs if out is not None]
        leaks.count_recovered({checkout.id for _, checkout in pairs})
        for slot, checkout in pairs:
            evidence, age_s = leaks.evidence_of(checkout.id), self.now_s - checkout.taken_at_s
            if evidence is not None or age_s >= self.held_after_s:
                self._held.append(Holder(identity, slot, checkout, evidence, age_s))

    @property
    def oldest(self) -> list[Holder]:
        """Return the checkouts that a push may list, oldest first."""
        return sorted(self._held, key=lambda held: -held.age_s)[:MAX_LISTED]

    def held_samples(self) -> Iterator[Sample]:
        """Return the list, and for each pool the numbers of held and listed ones, even if 0."""
        listed = self.oldest
        for held in listed:
            yield Sample(catalogue.CHECKOUT_AGE, self._attributes(held), held.age_s)
        for identity, stats in self._pools:
            own = identity_attributes(identity)
            held_here = sum(held.identity == identity for held in self._held)
            listed_here = sum(held.identity == identity for held in listed)
            yield Sample(catalogue.CHECKOUTS_HELD, own, held_here)
            yield Sample(catalogue.CHECKOUTS_LISTED, own, listed_here)
            pids = _backend_pids(stats)
            yield Sample(catalogue.POOL_SESSIONS, {**own, catalogue.BACKEND_PIDS: pids}, len(pids))

    def _attributes(self, held: Holder) -> dict[str, AttributeValue]:
        now = now_attributes(self.find_sighting(held.checkout.id), self.now_s)
        return _attributes(held, self.now_s) | now


def _backend_pids(stats: PoolStats) -> list[int]:
    slots = dict(stats.slots)
    live = [slot for reference, slot in slots.items() if reference() is not None]
    return sorted(slot.facts.backend_pid for slot in live if slot.facts.backend_pid is not None)


def _attributes(held: Holder, now_s: float) -> dict[str, AttributeValue]:
    checkout, facts = held.checkout, held.slot.facts
    place, request = checkout.site.place, checkout.request
    opened_at_s, owner = held.slot.opened_at_s, kind_of_owner(checkout.owner, request)
    route = request.route if request is not None else None
    unit = request if owner in (OwnerKind.REQUEST, OwnerKind.JOB) else None
    optional: dict[str, AttributeValue | None] = {
        catalogue.BACKEND_PID: facts.backend_pid,
        catalogue.LOCAL_ADDRESS: facts.local[0] if facts.local else None,
        catalogue.LOCAL_PORT: facts.local[1] if facts.local else None,
        catalogue.PEER_ADDRESS: facts.peer[0] if facts.peer else None,
        catalogue.PEER_PORT: facts.peer[1] if facts.peer else None,
        catalogue.CONNECTION_AGE: now_s - opened_at_s if opened_at_s is not None else None,
        catalogue.HTTP_ROUTE: route,
        catalogue.CODE_FILE_PATH: place[0] if place else None,
        catalogue.CODE_LINE_NUMBER: place[1] if place else None,
        catalogue.CODE_FUNCTION_NAME: place[2] if place else None,
        catalogue.UNIT_KIND: unit.kind.value if unit is not None else None,
        catalogue.UNIT_NAME: route if unit is not None else None,
        catalogue.EVIDENCE: held.evidence.value if held.evidence else None,
        catalogue.TRACE_ID: trace_id_of(checkout.context),
    }
    own = identity_attributes(held.identity)
    own |= {catalogue.CHECKOUT_ID: checkout.id, catalogue.OWNER_KIND: owner.value}
    return own | {name: value for name, value in optional.items() if value is not None}

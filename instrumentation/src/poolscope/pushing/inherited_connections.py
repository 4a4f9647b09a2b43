"""List the connections of another process that this process uses, only for the exporter.

The list of held checkouts omits short ones. Only a backend PID and a socket prove that two
processes use one connection.
"""

from collections.abc import Iterable, Iterator

from poolscope import catalogue
from poolscope.pushing.samples import AttributeValue, Sample, identity_attributes
from poolscope.recording.drivers import ConnectionFacts
from poolscope.recording.pool import OpenCheckout, PoolIdentity, PoolStats

LISTED_FOR_S = 60.0
"""How long a push lists a connection after its last checkout: twice the window of a diagnosis."""

MAX_LISTED = 20
"""Most inherited connections of a pool that one push lists; the last taken come first."""


def inherited_samples(
    pools: Iterable[tuple[PoolIdentity, PoolStats]], now_s: float
) -> Iterator[Sample]:
    """Yield the seconds since each inherited connection was last taken, 0 while it is out."""
    for identity, stats in pools:
        own = identity_attributes(identity)
        for facts, last, is_out in last_taken(stats)[:MAX_LISTED]:
            unused_s = 0.0 if is_out else max(0.0, now_s - last.taken_at_s)
            if unused_s <= LISTED_FOR_S:
                attributes = {**own, **_attributes(facts, last)}
                yield Sample(catalogue.INHERITED_CONNECTION, attributes, unused_s)


def last_taken(stats: PoolStats) -> list[tuple[ConnectionFacts, OpenCheckout, bool]]:
    """Return the inherited connections that this process took; the last taken comes first.

    Each has its last checkout, and whether it is out now.
    """
    slots = list(stats.slots.values())
    used = [(each.facts, each.last_out, each.out is not None) for each in slots]
    used += [(facts, last, False) for facts, last in list(stats.closed_inherited)]
    found = [(facts, OpenCheckout._make(out), is_out) for facts, out, is_out in used if out]
    return sorted(found, key=lambda each: -each[1].taken_at_s)


def _attributes(facts: ConnectionFacts, last: OpenCheckout) -> dict[str, AttributeValue]:
    place = last.site.place
    optional: dict[str, AttributeValue | None] = {
        catalogue.BACKEND_PID: facts.backend_pid,
        catalogue.LOCAL_ADDRESS: facts.local[0] if facts.local else None,
        catalogue.LOCAL_PORT: facts.local[1] if facts.local else None,
        catalogue.HTTP_ROUTE: last.request.route if last.request is not None else None,
        catalogue.CODE_FILE_PATH: place[0] if place else None,
        catalogue.CODE_LINE_NUMBER: place[1] if place else None,
    }
    return {name: value for name, value in optional.items() if value is not None}

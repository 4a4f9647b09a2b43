"""Report the line of code that made the pools of one name, and their number, to the exporter."""

from collections.abc import Iterable, Iterator, Mapping

from poolscope import catalogue
from poolscope.pushing.samples import Sample, identity_attributes
from poolscope.recording.creation_lines import Line
from poolscope.recording.pool import PoolIdentity


def creation_samples(
    pools: Iterable[tuple[PoolIdentity, PoolIdentity]], made: Mapping[Line, int]
) -> Iterator[Sample]:
    """Return for each name the line that made most pools; `pools` are (unique, given) identities.

    The sample has the attributes of the first pool with the name.
    """
    seen: set[PoolIdentity] = set()
    for unique, given in pools:
        if given in seen:
            continue
        seen.add(given)
        counts = {site: count for (identity, site), count in made.items() if identity == given}
        if counts:
            site = max(counts, key=lambda each: counts[each])
            attributes = {**identity_attributes(unique), catalogue.CALL_SITE: site}
            yield Sample(catalogue.POOLS_MADE, attributes, counts[site])

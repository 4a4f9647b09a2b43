"""Report to the exporter the line that made each pool, and lines that make many of them."""

from collections.abc import Iterable, Iterator, Mapping

from poolscope import catalogue
from poolscope.pushing.samples import AttributeValue, Sample, identity_attributes
from poolscope.recording.pool import PoolIdentity
from poolscope.recording.pool_rows.creation_lines import Line
from poolscope.recording.pool_rows.row import WatchedPool

Rows = Iterable[tuple[PoolIdentity, WatchedPool]]


def generation_samples(rows: Rows) -> Iterator[Sample]:
    """Return for each row the number of pools that had it, the last one's line, and its end."""
    for identity, row in rows:
        attributes: dict[str, AttributeValue] = {
            **identity_attributes(identity),
            catalogue.POOL_IS_GONE: row.is_gone,
        }
        if row.line is not None:
            attributes[catalogue.CALL_SITE] = row.line
        yield Sample(catalogue.POOL_GENERATION, attributes, row.generation)


def creation_samples(rows: Rows, made: Mapping[Line, int]) -> Iterator[Sample]:
    """Return for each given name the line that made most pools.

    The sample has the attributes of the first row with the name that is not gone.
    """
    seen: set[PoolIdentity] = set()
    for unique, row in rows:
        given = row.stats.identity
        if given in seen or row.is_gone:
            continue
        seen.add(given)
        counts = {site: count for (identity, site), count in made.items() if identity == given}
        if counts:
            site = max(counts, key=lambda each: counts[each])
            attributes = {**identity_attributes(unique), catalogue.CALL_SITE: site}
            yield Sample(catalogue.POOLS_MADE, attributes, counts[site])

"""Describe the use of connections that were out, only for the exporter."""

from collections.abc import Iterable, Iterator

from poolscope import catalogue
from poolscope.pushing.samples import Sample, identity_attributes
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.watching.occupancy import OccupancyKey


def occupancy_samples(rows: Iterable[tuple[OccupancyKey, float]]) -> Iterator[Sample]:
    """Yield the seconds of each row since the last push that arrived."""
    for key, seconds in rows:
        attributes = {
            **identity_attributes(key.identity),
            catalogue.HTTP_ROUTE: key.route,
            catalogue.TAKEN_AT: _label(key.taken),
            catalogue.NOW_AT: _label(key.now),
            catalogue.NOW_CALL: key.call,
            catalogue.DOING: str(key.doing),
        }
        yield Sample(catalogue.OCCUPANCY, attributes, seconds)


def _label(site: Site) -> str:
    return "" if site is UNKNOWN_SITE else site.label

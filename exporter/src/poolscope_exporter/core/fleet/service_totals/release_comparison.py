"""Choose the two releases of a pool to compare: the newest one, and the one before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool

MIN_CALLERS: Final = 100
"""With fewer callers, five slow ones decide the 95th percentile, and no failure proves nothing."""


@dataclass(frozen=True, slots=True)
class ReleaseComparison:
    """The newest release of a pool, and an earlier one; None if no other was seen.

    The number of further releases, which are not compared, is `others`.
    """

    pool: ServicePool
    after: ReleaseNumbers
    before: ReleaseNumbers | None
    others: int


def compare_newest(releases: Iterable[ReleaseNumbers]) -> list[ReleaseComparison]:
    """Return one comparison for each pool, the pool with the newest release first."""
    by_pool = sorted(releases, key=lambda each: (each.key.pool, each.first_seen_age_s))
    found = [
        _compared(pool, list(same)) for pool, same in groupby(by_pool, lambda each: each.key.pool)
    ]
    return sorted(found, key=lambda each: each.after.first_seen_age_s)


def has_enough(release: ReleaseNumbers) -> bool:
    """Return whether a release had enough callers for a comparison; unknown is not enough."""
    return release.callers is not None and release.callers >= MIN_CALLERS


def _compared(pool: ServicePool, newest_first: list[ReleaseNumbers]) -> ReleaseComparison:
    after, *earlier = newest_first
    # A canary that was withdrawn at once is no measure: look for the release before it.
    before = next(filter(has_enough, earlier), earlier[0] if earlier else None)
    return ReleaseComparison(pool, after, before, max(0, len(earlier) - 1))

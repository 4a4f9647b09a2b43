"""List the checkouts that ended since the last push, only for the exporter.

The exporter may ask the server about a checkout between two pushes. If the checkout ends before the
next push, its end time is the only proof that the answer was about it.
"""

from collections.abc import Iterable, Iterator

from poolscope import catalogue
from poolscope.pushing.samples import Sample
from poolscope.recording.pool import PoolStats, drained


class EndedCheckouts:
    """The checkouts that the last push listed, so that the next push can report their ends."""

    def __init__(self) -> None:
        self._listed: frozenset[int] = frozenset()

    def ended_samples(
        self, pools: Iterable[PoolStats], listed: frozenset[int], now_s: float
    ) -> Iterator[Sample]:
        """Yield how many seconds ago each listed checkout ended; `listed` are the ids of this push.

        Read `listed` before this call: then a checkout that ends meanwhile is in both lists, and
        never in none.
        """
        known, self._listed = self._listed | listed, listed
        for stats in pools:
            stats.count()
            for use in drained(stats.long_uses.popleft):
                if use.id in known:
                    attributes = {catalogue.CHECKOUT_ID: use.id}
                    age_s = max(0.0, now_s - use.ended_at_s)
                    yield Sample(catalogue.CHECKOUT_ENDED, attributes, age_s)

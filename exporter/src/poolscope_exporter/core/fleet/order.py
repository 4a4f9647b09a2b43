"""Tell the point that continues its series from those that came late, twice, or from elsewhere.

Only for senders whose pushes have no number of their own: `time_ns` is 0 on the points of the
others, whose order is that of their pushes.
"""

from poolscope.catalogue import Kind
from poolscope_exporter.core.fleet.admission import Refusal
from poolscope_exporter.core.model.checkouts import Point

LATEST_NS = 300 * 10**9
"""A push is retried for no longer than this; what is further back comes from a clock set back."""


def refusal_of(last: Point, point: Point) -> Refusal | None:
    """Return why a point does not continue the series that `last` ended, or None where it does."""
    if not point.time_ns or not last.time_ns:
        return None
    if point.time_ns == last.time_ns:
        return Refusal.DUPLICATE
    if point.time_ns < last.time_ns:
        is_late = last.time_ns - point.time_ns <= LATEST_NS
        return Refusal.OUT_OF_ORDER if is_late else None
    return Refusal.SHARED_INSTANCE if _is_of_another(last, point) else None


def _is_of_another(last: Point, point: Point) -> bool:
    """Tell whether two processes push the series under one name.

    A process never says something newer of a series that began earlier than it said before, and
    its intervals never overlap.
    """
    if not point.start_ns or point.kind is Kind.GAUGE:
        return False
    return point.start_ns < (last.time_ns if point.is_delta else last.start_ns)

"""Count the ORM errors of a process by the line of the application that got them.

Both errors mean that an attribute was not loaded, and could not be loaded at that line. See
`expire_on_commit`.
"""

from collections import Counter

from poolscope.catalogue import OTHER, SessionErrorKind
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.pool import PoolStats

MAX_LINES = 20
"""Most pairs of error and line, per pool, that are separate; others are counted as `other`."""

SessionErrorKey = tuple[SessionErrorKind, str, PoolStats | None]
"""Error, line (empty if no line of the application was found), and pool, if it is known."""


class SessionErrors:
    """Counts of each error at each line; `counts` keeps the statistics of its pools alive."""

    def __init__(self) -> None:
        self.counts: Counter[SessionErrorKey] = Counter()

    def count_error(self, kind: SessionErrorKind, site: Site, stats: PoolStats | None) -> None:
        """Count an error that the application got at `site`."""
        key = (kind, "" if site is UNKNOWN_SITE else site.label, stats)
        is_room = key in self.counts or len(self.counts) < MAX_LINES
        self.counts[key if is_room else (kind, OTHER, None)] += 1

"""State every limit that judging and forgetting depend on, once, with its reason."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class AgeTolerance:
    """How far a backend's age may lie from its connection's age, in seconds, to be the same."""

    older_s: float
    younger_s: float


SLOW_QUERY_S: Final = 1.0
"""An active session counts as slow from here; the age from which checkouts are listed at all."""

IDLE_IN_TRANSACTION_S: Final = 1.0
"""A transaction left open for this long is waiting for something other than the database."""

HELD_IDLE_S: Final = 1.0
"""A connection held this long without a statement is withheld from those who queue (T5: 2 s)."""

STALLED_S: Final = 1.0
"""A statement that waits this long for its own client is not making progress."""

QUEUED_S: Final = 1.0
"""A client that queues this long for a server connection finds the pooler full, not busy."""

SETTLED_S: Final = 0.05
"""A server answers within this of being asked: what began earlier began before it was asked."""

AGE_TOLERANCE: Final = AgeTolerance(older_s=3.0, younger_s=1.0)
"""The backend starts before the driver reports the connection open (TLS, authentication, and the
way of the push make it look older); only clock rates and rounding can make it look younger."""

CONFIRM_MARGIN_S: Final = 1.0
"""A push was on its way for less than this; what it shows was true this long before it came."""

MISSED_PUSHES: Final = 3
"""An application that missed this many pushes is gone; fewer are a hiccup of the network."""

UNTOLD_INTERVAL_S: Final = 60.0
"""Push interval of senders that do not tell theirs: the default of OpenTelemetry's SDKs."""

LONGEST_INTERVAL_S: Final = 3600.0
"""No interval is believed beyond this, or a wrong one would keep a dead process alive."""

COUNTER_RETENTION_S: Final = 600.0
"""Counters outlive their process this long, so that short jobs are scraped."""

ORPHAN_AFTER_S: Final = 10.0
"""A session may outlive its process this long: the server takes a moment to see it go."""

TOTALS_RETENTION_S: Final = 86_400.0
"""The sums of a service stay this long after its last word: a nightly job goes on counting."""

GROWTH_PUSHES: Final = 3
"""A counter "grew" when it did so over the last so many pushes."""

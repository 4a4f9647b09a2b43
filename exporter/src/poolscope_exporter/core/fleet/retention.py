"""State every limit that judging and forgetting depend on, once, with its reason."""

from typing import Final

MISSED_PUSHES: Final = 3
"""An application that missed this many pushes is gone; fewer are a hiccup of the network."""

DEFAULT_INTERVAL_S: Final = 60.0
"""Push interval of senders that do not tell theirs: the default of OpenTelemetry's SDKs."""

LONGEST_INTERVAL_S: Final = 3600.0
"""No interval is believed beyond this, or a wrong one would keep a dead process alive."""

COUNTER_RETENTION_S: Final = 600.0
"""Counters outlive their process this long, so that short jobs are scraped."""

TOTALS_RETENTION_S: Final = 86_400.0
"""The sums of a service stay this long after its last word: a nightly job goes on counting."""

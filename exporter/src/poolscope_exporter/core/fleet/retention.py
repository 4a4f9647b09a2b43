"""Define each time limit of judging and of dropping data, with its reason."""

from typing import Final

MISSED_PUSHES: Final = 3
"""A process that missed this many pushes is gone; fewer can be a short network problem."""

DEFAULT_INTERVAL_S: Final = 60.0
"""Push interval of senders that do not send theirs: the default of OpenTelemetry's SDKs."""

LONGEST_INTERVAL_S: Final = 300.0
"""The longest interval that a sender can set; with more, a dead process would use up room."""

COUNTER_RETENTION_S: Final = 600.0
"""Counters stay this long after their process ended, so that short jobs are scraped."""

TOTALS_RETENTION_S: Final = 86_400.0
"""The sums of a service stay this long after its last push, for example for a nightly job."""

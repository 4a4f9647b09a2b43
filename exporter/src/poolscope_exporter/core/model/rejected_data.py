"""Data of a sender that the exporter needed but could not keep."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RejectedData:
    """The data of one sender that was refused for one reason; `metric` is an example of it.

    `count` counts data points, checkouts and waiters since the start. The last of them arrived at
    `last_at_s`, by the exporter's monotonic clock.
    """

    sender: str
    reason: str
    count: int
    last_at_s: float
    metric: str | None = None

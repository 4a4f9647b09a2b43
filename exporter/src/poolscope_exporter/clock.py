"""Read the clocks: the one module of the exporter that does."""

import time
from datetime import UTC, datetime


def monotonic() -> float:
    """Return seconds since an arbitrary start; never jumps, so all ages come from it."""
    return time.monotonic()


def wall_s() -> float:
    """Return seconds since the epoch; only for time stamps that leave the process."""
    return time.time()


def timestamp() -> str:
    """Return the current time in ISO 8601, in UTC."""
    return datetime.fromtimestamp(wall_s(), UTC).isoformat(timespec="milliseconds")

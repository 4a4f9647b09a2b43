"""Read the clocks: the one module of the exporter that does."""

import time


def monotonic() -> float:
    """Return seconds since an arbitrary start; never jumps, so all ages come from it."""
    return time.monotonic()


def wall_s() -> float:
    """Return seconds since the epoch; only for time stamps that leave the process."""
    return time.time()

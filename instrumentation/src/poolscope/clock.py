"""Read the clocks; no other module of the instrumentation may read them."""

import time

monotonic = time.perf_counter
"""Seconds, monotonic: every duration is the difference between two of these values."""

wall_ns = time.time_ns
"""Nanoseconds since the epoch: for the timestamps that OTLP requires, never for a duration."""

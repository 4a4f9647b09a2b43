"""Read the clocks: the one module of the instrumentation that may."""

import time

monotonic = time.perf_counter
"""Seconds, monotonic: every duration is the difference of two of these."""

wall_ns = time.time_ns
"""Nanoseconds since the epoch: for the timestamps that OTLP demands, never for a duration."""

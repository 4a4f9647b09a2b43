"""Turn exponential histograms into explicit buckets, which is what we publish.

Prometheus's own exponential histograms need its protobuf format; in explicit buckets the series
of every sender has the same bounds, and the same dashboards and alerts read them.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint

from poolscope import catalogue
from poolscope_exporter.core.model.pushes import HistogramValue

MIN_SCALE, MAX_SCALE = -10, 20
MAX_BUCKETS = 1_024
"""SDKs make at most 160 by default, 320 where it is asked of them."""

MAX_EXPONENT = 1_024
"""2 to this power is beyond every double."""

_BOUNDS = {metric.name: metric.bounds for metric in catalogue.METRICS if metric.bounds}


def bounds_of(metric: str) -> tuple[float, ...]:
    """Return the bounds that we publish a metric with."""
    return _BOUNDS.get(metric, catalogue.WAIT_BOUNDS)


def buckets_of(
    point: ExponentialHistogramDataPoint, bounds: Sequence[float], per_second: float = 1
) -> HistogramValue | None:
    """Return the point in explicit buckets, or None where it contradicts itself.

    All that one of its buckets holds goes to the first bound that is not below the bucket's upper
    edge: what is told to be at most a bound is so. What lies in the bucket that a bound cuts in
    two is told one bucket higher, so a quantile may be too high by the width of one exponential
    bucket (4.4 % at scale 4, 0.54 % at scale 7) and the step to our next bound, and is never too
    low. Count and sum stay exact. Durations are not negative; `per_second` is how many of the
    point's units make a second.
    """
    if not MIN_SCALE <= point.scale <= MAX_SCALE or any(point.negative.bucket_counts):
        return None
    if len(point.positive.bucket_counts) > MAX_BUCKETS or not _is_threshold(point.zero_threshold):
        return None
    counts = [0] * (len(bounds) + 1)
    counts[bisect_left(bounds, point.zero_threshold / per_second)] += point.zero_count
    for edge, count in _edges(point):
        counts[bisect_left(bounds, edge / per_second)] += count
    if sum(counts) != point.count:
        return None
    total = point.sum / per_second if point.HasField("sum") else math.nan
    return HistogramValue(tuple(bounds), tuple(counts), total)


def _edges(point: ExponentialHistogramDataPoint) -> Iterator[tuple[float, int]]:
    """Yield the upper edge and the count of each bucket that holds something."""
    first = point.positive.offset + 1
    for index, count in enumerate(point.positive.bucket_counts, first):
        if count:
            exponent = math.ldexp(index, -point.scale)
            yield (math.inf if exponent >= MAX_EXPONENT else 2.0**exponent), count


def _is_threshold(value: float) -> bool:
    return 0 <= value < math.inf

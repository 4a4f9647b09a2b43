"""Read the exemplars of a histogram's data point; what cannot be read is left out."""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
)

from poolscope.catalogue import METRICS, Kind
from poolscope_exporter.core.model.exemplars import Exemplar, latest_by_bucket

MAX_READ: Final = 1_000
"""Most exemplars that are read of one point."""

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_WITH_EXEMPLARS: Final = frozenset(
    metric.name for metric in METRICS if metric.kind is Kind.HISTOGRAM
)

_AnyHistogram = HistogramDataPoint | ExponentialHistogramDataPoint


def exemplars_of(
    metric: str, point: _AnyHistogram, bounds: tuple[float, ...]
) -> tuple[Exemplar, ...]:
    """Return the newest exemplar of each bucket.

    Only the histograms of the catalogue keep exemplars: hostile senders must not fill the memory.
    """
    if not point.exemplars or metric not in _WITH_EXEMPLARS:
        return ()
    return latest_by_bucket(bounds, _readable(point))


def _readable(point: _AnyHistogram) -> Iterator[Exemplar]:
    for each in islice(point.exemplars, MAX_READ):
        kind = each.WhichOneof("value")
        value = float(getattr(each, kind)) if kind else math.nan
        is_traced = len(each.trace_id) == _TRACE_ID_BYTES and len(each.span_id) == _SPAN_ID_BYTES
        if is_traced and any(each.trace_id) and math.isfinite(value):
            yield Exemplar(value, each.time_unix_nano, each.trace_id, each.span_id)

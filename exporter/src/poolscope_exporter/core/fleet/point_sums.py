"""Add up the points of one pool, metric by metric."""

from collections.abc import Iterable
from math import isfinite

from poolscope.catalogue import Metric
from poolscope_exporter.core.model.pushes import HistogramValue, Point


class PointSums:
    """The points of one pool by metric; what no point gives is None."""

    def __init__(self, points: Iterable[Point]) -> None:
        self._points: dict[str, list[Point]] = {}
        for point in points:
            self._points.setdefault(point.metric, []).append(point)

    def sum_of(self, metric: Metric, attribute: str = "", value: str = "") -> float | None:
        """Return the sum of the points that have this value of the attribute."""
        values = [
            point.value
            for point in self._points.get(metric.name, ())
            if isinstance(point.value, float | int) and point.attributes.get(attribute, "") == value
        ]
        return _finite(sum(values)) if values else None

    def mean_of(self, metric: Metric) -> float | None:
        """Return the mean of what the metric's histograms hold, whatever their bounds."""
        points = self._points.get(metric.name, ())
        found = [point.value for point in points if isinstance(point.value, HistogramValue)]
        count = sum(sum(buckets.counts) for buckets in found)
        return _finite(sum(buckets.sum for buckets in found) / count) if count else None

    def whole_sum_of(self, metric: Metric) -> int | None:
        """Return the sum of all points, as a whole number."""
        points = self._points.get(metric.name, ())
        values = [point.value for point in points if isinstance(point.value, float | int)]
        return whole(_finite(sum(values))) if values else None

    def text_of(self, metric: Metric, attribute: str) -> str | None:
        """Return an attribute of the metric's first point."""
        points = self._points.get(metric.name, ())
        return next((point.attributes.get(attribute) or None for point in points), None)


def whole(value: float | None) -> int | None:
    """Return the value as a whole number; None stays None."""
    return None if value is None else round(value)


def _finite(value: float) -> float | None:
    # The sum of numbers that are each finite need not be one.
    return float(value) if isfinite(value) else None

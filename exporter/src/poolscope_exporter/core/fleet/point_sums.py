"""Add up the points of one pool, metric by metric."""

from collections.abc import Iterable, Mapping, Sequence
from math import floor, isfinite

from poolscope.catalogue import Metric
from poolscope_exporter.core.model.pushes import HistogramValue, Point


class PointSums:
    """The points of one pool by metric; a number without any point is None."""

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

    def mean_of(self, metric: Metric, *, at_least: int) -> float | None:
        """Return the mean of all values in the metric's histograms; their bounds may differ.

        With fewer values than `at_least`, the result is None.
        """
        points = self._points.get(metric.name, ())
        found = [point.value for point in points if isinstance(point.value, HistogramValue)]
        count = sum(sum(buckets.counts) for buckets in found)
        if count < max(1, at_least):
            return None
        return _finite(sum(buckets.sum for buckets in found) / count)

    def quantile_of(self, metric: Metric, share: float) -> float | None:
        """Return an estimate of a quantile of the metric's histograms; `share` is 0 to 1.

        It is interpolated within a bucket, as in Prometheus. It is never higher than the sum of all
        values allows, so for a single value it is at most that value. Without values, or with
        different bounds, the result is None.
        """
        points = self._points.get(metric.name, ())
        found = [point.value for point in points if isinstance(point.value, HistogramValue)]
        if len({buckets.bounds for buckets in found}) != 1:
            return None
        counts = [sum(column) for column in zip(*(each.counts for each in found), strict=True)]
        total = sum(counts)
        if not total:
            return None
        beyond = max(1, total - floor(share * total))
        most = sum(buckets.sum for buckets in found) / beyond
        return _finite(min(most, _interpolated(found[0].bounds, counts, share * total)))

    def whole_sum_of(self, metric: Metric) -> int | None:
        """Return the sum of all points as a whole number, or None without points."""
        points = self._points.get(metric.name, ())
        values = [point.value for point in points if isinstance(point.value, float | int)]
        return whole(_finite(sum(values))) if values else None

    def greatest_of(self, metric: Metric) -> Mapping[str, str]:
        """Return the attributes of the metric's greatest point; empty without points."""
        values = [
            (point.value, point.attributes)
            for point in self._points.get(metric.name, ())
            if isinstance(point.value, float | int)
        ]
        return max(values, key=lambda each: each[0])[1] if values else {}

    def text_of(self, metric: Metric, attribute: str) -> str | None:
        """Return an attribute of the metric's first point."""
        points = self._points.get(metric.name, ())
        return next((point.attributes.get(attribute) or None for point in points), None)


def whole(value: float | None) -> int | None:
    """Return the value as a whole number; None stays None."""
    return None if value is None else round(value)


def _interpolated(bounds: Sequence[float], counts: Sequence[int], rank: float) -> float:
    """Return the value of a rank; beyond the last bound, return that bound."""
    passed, lower = 0, 0.0
    for upper, count in zip(bounds, counts, strict=False):
        if count and passed + count >= rank:
            return lower + (upper - lower) * (rank - passed) / count
        passed, lower = passed + count, upper
    return lower


def _finite(value: float) -> float | None:
    # A sum of finite numbers can be infinite.
    return float(value) if isfinite(value) else None

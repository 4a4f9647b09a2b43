"""Publish the aggregates in the application's own registry of `prometheus_client`.

The names and labels are those of the exporter's `/metrics`, so the same dashboards and alerts read
them. Only `metrics="prometheus"` imports this module: `prometheus_client` is no dependency.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, groupby
from math import inf
from typing import Any, Final

from prometheus_client import REGISTRY, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from poolscope import catalogue
from poolscope.catalogue import Kind
from poolscope.pushing.pusher import Pusher
from poolscope.pushing.samples import Sample
from poolscope.recording.histogram import Buckets, TracedValue
from poolscope.settings import SettingsError

MULTIPROCESS_VARIABLES: Final = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")

_NANO: Final = 1e9
_UNITS: Final = {"s": "seconds"}
"""The suffix of each unit of the catalogue; other units are annotations, which have none."""
_OF_SERVICE: Final = (catalogue.SERVICE_NAMESPACE, catalogue.SERVICE_NAME)
_OF_INSTANCE: Final = (*_OF_SERVICE, catalogue.SERVICE_INSTANCE_ID)
_SUMMED: Final = (catalogue.ROUTE_CHECKOUTS, catalogue.ROUTE_HELD_TIME)
"""Series that the exporter sums over the processes of a service: they have no instance label."""

Undo = Callable[[], None]


class PoolCollector:
    """A collector that reads the pools at each scrape; an error leaves poolscope's series out."""

    def __init__(self, pusher: Pusher, contain: Callable[[Exception], None]) -> None:
        self._pusher = pusher
        self._contain = contain

    def describe(self) -> list[Metric]:
        """Return nothing, so that the registry does not collect at the registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return each family once; runs in the thread of the scrape."""
        try:
            found = list(families_of(self._pusher.samples(), self._pusher.resource_attributes))
        except Exception as error:  # noqa: BLE001 - the application's other series must be scraped
            self._contain(error)
            return iter(())
        return iter(found)


def publishing_in(registry: Any) -> Callable[[Pusher, Callable[[Exception], None]], Undo]:
    """Return a function that registers a collector in `registry`, or else in the default one.

    Raises SettingsError in the multiprocess mode, in which no custom collector is scraped.
    """
    given = next((name for name in MULTIPROCESS_VARIABLES if os.environ.get(name)), None)
    if given is not None:
        raise SettingsError(
            f"poolscope: metrics='prometheus' is for a single process, but {given} is set, and"
            " prometheus_client scrapes no custom collector in its multiprocess mode. Leave"
            " metrics out, and run poolscope-exporter."
        )
    target: Any = REGISTRY if registry is None else registry

    def publish(pusher: Pusher, contain: Callable[[Exception], None]) -> Undo:
        collector = PoolCollector(pusher, contain)
        target.register(collector)
        return lambda: target.unregister(collector)

    return publish


def families_of(samples: Iterable[Sample], resource: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield the samples as families, with the labels of the process."""
    ordered = sorted(samples, key=lambda sample: sample.metric.name)
    for metric, points in groupby(ordered, key=lambda sample: sample.metric):
        attributes = _attribute_names(metric)
        family = _family(metric, [label_name(name) for name in attributes])
        for sample in points:
            given = {**resource, **sample.attributes}
            _add(family, [_text(given.get(name)) for name in attributes], sample.value)
        yield family


def metric_name(metric: catalogue.Metric) -> str:
    """Return the Prometheus name of a metric of the catalogue, without `_total`."""
    name, unit = label_name(metric.name), _UNITS.get(metric.unit)
    return f"{name}_{unit}" if unit else name


def label_name(attribute: str) -> str:
    """Return the Prometheus label of an attribute of the catalogue."""
    return attribute.replace(".", "_")


def _attribute_names(metric: catalogue.Metric) -> tuple[str, ...]:
    of_process = _OF_SERVICE if metric in _SUMMED else _OF_INSTANCE
    identity = () if metric in catalogue.PROCESS_METRICS else catalogue.POOL_IDENTITY
    return (*of_process, *identity, *metric.attributes)


def _family(metric: catalogue.Metric, labels: list[str]) -> Metric:
    name, text, unit = metric_name(metric), metric.description, _UNITS.get(metric.unit, "")
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(name, text, labels=labels, unit=unit)
    if metric.kind is Kind.HISTOGRAM:
        return HistogramMetricFamily(name, text, labels=labels, unit=unit)
    return GaugeMetricFamily(name, text, labels=labels, unit=unit)


def _add(family: Any, labels: list[str], value: float | Buckets) -> None:
    if isinstance(value, Buckets):
        family.add_metric(labels, list(_buckets(value)), value.sum)
    else:
        family.add_metric(labels, value)


def _buckets(value: Buckets) -> Iterator[tuple[str, float, Exemplar | None]]:
    exemplars = {bisect_left(value.bounds, each.value): each for each in value.exemplars}
    counts = accumulate(value.counts)
    for bucket, (bound, count) in enumerate(zip((*value.bounds, inf), counts, strict=True)):
        text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
        yield text, count, _exemplar(exemplars.get(bucket))


def _exemplar(found: TracedValue | None) -> Exemplar | None:
    if found is None:
        return None
    labels = {"trace_id": format(found.trace_id, "032x"), "span_id": format(found.span_id, "016x")}
    return Exemplar(labels, found.value, found.time_ns / _NANO)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)

"""Publish the aggregates through the application's OpenTelemetry MeterProvider."""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, NoOpMeterProvider, Observation
from opentelemetry.sdk.metrics import MeterProvider as SDKMeterProvider
from opentelemetry.sdk.resources import Resource

from poolscope import catalogue
from poolscope.catalogue import Kind, Metric
from poolscope.pushing.samples import Sample, identity_attributes
from poolscope.recording.pool import drained
from poolscope.recording.registry import Registry
from poolscope.version import __version__


def configured_provider() -> MeterProvider | None:
    """Return the process's MeterProvider if one is configured and publishes to any reader."""
    provider = metrics.get_meter_provider()
    if isinstance(provider, SDKMeterProvider):
        return provider if _readers(provider) else None
    known = isinstance(provider, NoOpMeterProvider) or type(provider).__name__.startswith("_Proxy")
    return None if known else provider


def _readers(provider: SDKMeterProvider) -> bool:
    """Return whether any reader collects from the provider; True if a future SDK hides that.

    If `OTEL_METRICS_EXPORTER=none`, `opentelemetry-instrument` configures a provider without any.
    """
    if getattr(provider, "_disabled", False):  # by OTEL_SDK_DISABLED
        return False
    consumer: Any = getattr(provider, "_measurement_consumer", None)
    readers = getattr(consumer, "_reader_storages", None)
    return True if readers is None else bool(readers)


def resource_of(provider: MeterProvider) -> Resource | None:
    """Return the resource of a provider's series, so that poolscope's series can be joined."""
    configuration: Any = getattr(provider, "_sdk_config", None)
    resource = getattr(configuration, "resource", None)
    return resource if isinstance(resource, Resource) else None


class ProviderPublisher:
    """The instruments of one MeterProvider, which call poolscope when they are collected.

    Gauges and counters are observable. Histograms cannot be: the hooks keep their samples, which
    are recorded right before a collection. So the user's views, readers and temporality apply.
    """

    def __init__(
        self,
        provider: MeterProvider,
        registry: Registry,
        read: Callable[[], Iterable[Sample]],
        off: Container[str] = (),
    ) -> None:
        self.provider = provider
        self._registry = registry
        self._read = read
        self._served: set[str] = set()
        self._samples: dict[str, list[Sample]] = {}
        self._open = True
        registry.buffer_histograms()
        meter = provider.get_meter(catalogue.SCOPE, __version__, schema_url=catalogue.SCHEMA_URL)
        self._histograms = {
            metric.name: meter.create_histogram(
                metric.name,
                metric.unit,
                metric.description,
                explicit_bucket_boundaries_advisory=metric.bounds,
            )
            for metric in catalogue.METRICS
            if metric.kind is Kind.HISTOGRAM and metric.name not in off
        }
        self._observe(meter, off)

    def stop_publishing(self) -> None:
        """Stop publishing; instruments cannot be removed from a provider."""
        self._open = False

    def _observe(self, meter: metrics.Meter, off: Container[str]) -> None:
        makers: dict[Kind, Callable[..., object]] = {
            Kind.COUNTER: meter.create_observable_counter,
            Kind.UP_DOWN_COUNTER: meter.create_observable_up_down_counter,
            Kind.GAUGE: meter.create_observable_gauge,
        }
        for metric in catalogue.METRICS:
            wanted = metric.scope == catalogue.SCOPE and metric.name not in off
            if wanted and metric.kind in makers:
                callbacks = [self._callback(metric)]
                makers[metric.kind](metric.name, callbacks, metric.unit, metric.description)

    def _callback(self, metric: Metric) -> Callable[[CallbackOptions], Sequence[Observation]]:
        def observe(_: CallbackOptions) -> Sequence[Observation]:
            if not self._open:
                return []
            self._refresh(metric.name)
            return [
                Observation(sample.value, dict(sample.attributes))
                for sample in self._samples.get(metric.name, ())
                if isinstance(sample.value, (int, float))
            ]

        return observe

    def _refresh(self, name: str) -> None:
        """Read the samples again when a collection begins: each collection asks once per metric."""
        if self._served and name not in self._served:
            self._served.add(name)
            return
        self._served = {name}
        self._replay()
        self._samples = {}
        for sample in self._read():
            self._samples.setdefault(sample.metric.name, []).append(sample)

    def _replay(self) -> None:
        """Record the samples that the hooks kept since the last collection."""
        for identity, pool in self._registry.named_pools():
            attributes = identity_attributes(identity)
            for metric, histogram in pool.stats.timed:
                instrument = self._histograms.get(metric.name)
                for value in drained(histogram.buffer.popleft) if histogram.buffer else ():
                    if instrument is not None:
                        instrument.record(value, attributes)

"""The real OpenTelemetry SDK as the process's TracerProvider, for one test."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from poolscope import catalogue


class Traces:
    """The tracer of the application, and the spans that ended."""

    def __init__(self, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
        self.tracer = provider.get_tracer("the.application")
        self._exporter = exporter

    @property
    def waits(self) -> list[ReadableSpan]:
        """Return the spans that poolscope made."""
        spans = self._exporter.get_finished_spans()
        return [span for span in spans if span.name == catalogue.ACQUIRE_SPAN]


@contextmanager
def traced(sampler: Sampler = ALWAYS_ON) -> Iterator[Traces]:
    """Set the process's TracerProvider, which the API allows only once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with mock.patch.object(trace, "_TRACER_PROVIDER", provider):
        yield Traces(provider, exporter)
    provider.shutdown()

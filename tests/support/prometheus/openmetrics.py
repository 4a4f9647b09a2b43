"""Read and write OpenMetrics with the official client, whose functions have no types."""

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families


def read_openmetrics(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def write_openmetrics(registry: CollectorRegistry) -> str:
    text: str = generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    return text

"""Who else publishes pool metrics into the application's provider."""

import pytest
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider

from poolscope import catalogue
from poolscope.pushing.duplicate_metrics import (
    DuplicateMetric,
    duplicates_among,
    find_duplicate_metrics,
)
from poolscope.pushing.meter_provider import ProviderPublisher
from poolscope.recording.registry import Registry


@pytest.mark.parametrize(
    ("scope", "metric", "is_duplicate"),
    [
        ("some.library", catalogue.COUNT.name, True),
        ("some.library", "db.client.connections.usage", True),
        ("some.library", "db.client.operation.duration", False),
        ("some.library", catalogue.CHECKOUTS.name, False),  # our own word, not the conventions'
        (catalogue.SCOPE, catalogue.COUNT.name, False),
    ],
)
def test_a_duplicate_has_metrics_of_the_conventions_that_are_not_ours(
    scope: str, metric: str, *, is_duplicate: bool
) -> None:
    assert (
        duplicates_among([(scope, metric)] * 2) == [DuplicateMetric(scope, metric)] * is_duplicate
    )


def test_opentelemetrys_own_instrumentation_of_sqlalchemy_is_found_in_the_provider() -> None:
    provider = MeterProvider()
    SQLAlchemyInstrumentor().instrument(meter_provider=provider, skip_dep_check=True)
    try:
        [duplicate] = find_duplicate_metrics(provider)
    finally:
        SQLAlchemyInstrumentor().uninstrument()
        provider.shutdown()
    assert duplicate.scope == "opentelemetry.instrumentation.sqlalchemy"
    assert duplicate.metric.startswith("db.client.connection")


def test_we_are_no_duplicate_of_ourselves() -> None:
    provider = MeterProvider()
    ProviderPublisher(provider, Registry(), list)
    assert find_duplicate_metrics(provider) == []
    provider.shutdown()


def test_a_provider_that_hides_its_instruments_has_no_duplicates() -> None:
    assert find_duplicate_metrics(NoOpMeterProvider()) == []

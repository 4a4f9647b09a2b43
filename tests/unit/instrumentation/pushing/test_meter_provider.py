"""Which MeterProvider publishes our aggregates."""

import pytest
from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider as AnyProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from poolscope.pushing.meter_provider import configured_provider


def publishes(provider: AnyProvider, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    found = configured_provider()
    if isinstance(provider, MeterProvider):
        provider.shutdown()
    return found is provider


def test_a_provider_with_a_reader_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert publishes(MeterProvider([InMemoryMetricReader()]), monkeypatch)


def test_a_provider_without_any_reader_publishes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not publishes(MeterProvider(), monkeypatch)


def test_a_provider_that_is_switched_off_publishes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not publishes(MeterProvider([InMemoryMetricReader()]), monkeypatch)


def test_no_provider_publishes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not publishes(NoOpMeterProvider(), monkeypatch)

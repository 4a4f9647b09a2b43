"""What automatic instrumentation calls: it starts us, and is never harmed by us."""

from importlib.metadata import entry_points

import pytest

from poolscope.auto import PoolscopeInstrumentor
from poolscope.instrumentation import active
from support.applications.apps import NOWHERE


def test_opentelemetry_finds_it_by_our_own_name() -> None:
    [found] = entry_points(group="opentelemetry_instrumentor", name="poolscope")
    assert found.load() is PoolscopeInstrumentor


def test_it_attaches_and_detaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSCOPE_ENDPOINT", NOWHERE)
    monkeypatch.setenv("POOLSCOPE_METRICS", "exporter")
    PoolscopeInstrumentor().instrument(skip_dep_check=True)
    assert active() is not None
    PoolscopeInstrumentor().uninstrument()
    PoolscopeInstrumentor().uninstrument()
    assert active() is None


def test_wrong_settings_are_logged_and_never_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("POOLSCOPE_METRICS", "everywhere")
    PoolscopeInstrumentor().instrument()
    assert active() is None
    assert "poolscope is off" in caplog.text
    assert "POOLSCOPE_METRICS='everywhere'" in caplog.text

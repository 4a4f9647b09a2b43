"""The application's log has each thing that an exporter answers once."""

import logging
from typing import Any

import pytest

from poolscope.pushing.log_messages import LogMessages
from poolscope.recording.pool import PoolIdentity, PoolStats
from poolscope.recording.registry import Registry
from poolscope.sending.transport import PushAnswer

ENDPOINT = "http://exporter:4318"


@pytest.mark.parametrize(
    ("rejected", "text"),
    [(3, "did not keep all of a push"), (0, "accepted a push with a warning")],
)
def test_partial_success_is_logged_once_for_each_reason(
    caplog: pytest.LogCaptureFixture, rejected: int, text: str
) -> None:
    unused: Any = None
    messages = LogMessages(unused, unused)
    with caplog.at_level(logging.WARNING, "poolscope"):
        for reason in ("too_many_series", "too_many_series", "shared_instance", ""):
            messages.log_rejection(ENDPOINT, PushAnswer(None, rejected, reason))
    assert [each.getMessage() for each in caplog.records] == [
        f"{ENDPOINT} {text}: too_many_series",
        f"{ENDPOINT} {text}: shared_instance",
    ]


def test_pools_of_one_name_are_logged_once_however_many_there_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nothing: Any = None
    registry = Registry(max_pools=1_000)
    messages = LogMessages(registry, nothing)
    engines = [type("Engine", (), {})() for _ in range(200)]
    with caplog.at_level(logging.WARNING, "poolscope"):
        for engine in engines:
            registry.watch(engine, PoolStats(PoolIdentity("orders"), nothing))
            registry.named_pools()
            messages.log_problems()
    assert len(caplog.messages) == 1

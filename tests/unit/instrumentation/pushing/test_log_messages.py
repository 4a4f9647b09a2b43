"""The application's log has each thing that an exporter answers once."""

import gc
import logging
from typing import Any

import pytest

from poolscope.app_log import ACCEPTED_WITH_WARNING, REJECTED, Message
from poolscope.catalogue import Evidence
from poolscope.pushing.log_messages import LogMessages
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.leaks import Leak
from poolscope.recording.pool import PoolIdentity, PoolStats
from poolscope.recording.registry import Registry
from poolscope.sending.transport import PushAnswer
from support.applications.still_pool import StillPool

ENDPOINT = "http://exporter:4318"


@pytest.mark.parametrize(("rejected", "message"), [(3, REJECTED), (0, ACCEPTED_WITH_WARNING)])
def test_partial_success_is_logged_once_for_each_reason(
    caplog: pytest.LogCaptureFixture, rejected: int, message: Message
) -> None:
    unused: Any = None
    messages = LogMessages(unused, unused)
    with caplog.at_level(logging.WARNING, "poolscope"):
        for reason in ("too_many_series", "too_many_series", "shared_instance", ""):
            messages.log_rejection(ENDPOINT, PushAnswer(None, rejected, reason))
    assert [each.getMessage() for each in caplog.records] == [
        message.line % (ENDPOINT, "too_many_series"),
        message.line % (ENDPOINT, "shared_instance"),
    ]


def test_pools_of_one_name_are_logged_once_however_many_there_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nothing: Any = None
    registry = Registry(max_pools=1_000)
    messages = LogMessages(registry, nothing)
    engines = [type("Engine", (), {})() for _ in range(200)]
    with caplog.at_level(logging.INFO, "poolscope"):
        for engine in engines:
            registry.watch(engine, PoolStats(PoolIdentity("orders"), StillPool()))
            messages.log_problems()
    assert len(caplog.messages) == 1
    assert caplog.records[0].levelno == logging.INFO


def make_engine() -> None:
    """Stand for a line of an application."""


def test_the_line_has_the_names_the_lines_and_the_two_ways_to_name_the_pools(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nothing: Any = None
    registry = Registry()
    site = Site(
        test_the_line_has_the_names_the_lines_and_the_two_ways_to_name_the_pools.__code__, 0
    )
    engines = [type("Engine", (), {})() for _ in range(7)]
    for engine in engines[:2]:
        registry.watch(engine, PoolStats(PoolIdentity("orders", "orders"), StillPool()), site)
    with caplog.at_level(logging.INFO, "poolscope"):
        LogMessages(registry, nothing).log_problems()
    for engine in engines[2:]:
        registry.watch(engine, PoolStats(PoolIdentity("orders", "orders"), StillPool()))
    with caplog.at_level(logging.INFO, "poolscope"):
        LogMessages(registry, nothing).log_problems()
    two, seven = caplog.messages
    assert two == (
        "poolscope: 2 pools on database orders in this process, shown as orders and orders-2 "
        f'(created at {site.label}). poolscope.name_pool(engine, "…") names them, or '
        f'POOLSCOPE_POOL_NAMES="{site.label}=…" without code'
    )
    assert (
        f"orders, orders-2 (created at {site.label}), orders-3, orders-4, orders-5 and 2 more"
        in (seven)
    )


def test_a_pool_after_another_is_no_second_pool(caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = None
    registry = Registry()
    messages = LogMessages(registry, nothing)
    with caplog.at_level(logging.INFO, "poolscope"):
        for _ in range(10):
            engine = type("Engine", (), {})()
            stats = registry.watch(engine, PoolStats(PoolIdentity("orders"), StillPool()))
            assert stats is not None
            stats.waits.append(0.1)
            messages.log_problems()
            del engine
            gc.collect()
    assert caplog.messages == []


def test_a_leak_of_one_line_is_logged_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = None
    messages = LogMessages(nothing, nothing)
    for _ in range(20):
        messages.log_leaks([("orders", Leak(Evidence.TASK_FINISHED, None, UNKNOWN_SITE, 31.0))])
    [message] = caplog.messages
    assert message.startswith("poolscope: a connection of pool orders was apparently not returned")

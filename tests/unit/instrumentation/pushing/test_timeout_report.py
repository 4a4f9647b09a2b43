import logging
import threading

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolscope.clock import monotonic
from poolscope.pushing.timeout_report import REPORT_AGAIN_S, TimeoutReports
from poolscope.recording.pool import PoolIdentity
from support.applications.apps import instrumented
from support.applications.dbapi import an_engine

ORDERS, USERS = PoolIdentity("orders"), PoolIdentity("users")


def test_the_first_time_out_is_news_and_the_swarm_after_it_is_not() -> None:
    reports = TimeoutReports()
    assert not reports.is_due(ORDERS, 0, now_s=0)
    assert reports.is_due(ORDERS, 1, now_s=10)
    assert not reports.is_due(ORDERS, 50, now_s=11)
    assert not reports.is_due(ORDERS, 51, now_s=10 + REPORT_AGAIN_S - 0.1)
    assert not reports.is_due(ORDERS, 51, now_s=10 + REPORT_AGAIN_S)
    assert reports.is_due(ORDERS, 52, now_s=10 + REPORT_AGAIN_S)


def test_each_pool_is_reported_by_itself() -> None:
    reports = TimeoutReports()
    assert reports.is_due(ORDERS, 1, now_s=0)
    assert reports.is_due(USERS, 1, now_s=0)


def test_the_report_answers_what_an_operator_asks_next(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="poolscope")
    with instrumented() as readings:
        engine = an_engine(pool_logging_name="orders")
        held = [engine.connect() for _ in range(3)]
        with pytest.raises(PoolTimeoutError):
            engine.connect()
        notices = readings.instrumentation.pusher._log_messages
        notices.log_timeouts(monotonic())
        notices.log_timeouts(monotonic())
        for connection in held:
            connection.close()
    [said] = [record.getMessage() for record in caplog.records if "gave up" in record.getMessage()]
    first, *holders = said.splitlines()
    assert first == (
        "pool orders: callers gave up after 0.01 s; now 3 used of 3, 0 idle, 0 waiting; held by:"
    )
    assert len(holders) == 3
    assert all("no route" in line and "test_timeout_report.py:" in line for line in holders)
    assert all("in test_the_report_answers" in line and "(thread)" in line for line in holders)


def test_a_pool_that_times_out_is_reported_by_the_thread_and_not_by_the_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="poolscope")
    with instrumented():
        engine = an_engine()
        held = [engine.connect() for _ in range(3)]
        with pytest.raises(PoolTimeoutError):
            engine.connect()
        here = [r for r in caplog.records if r.thread == threading.get_ident()]
        assert here == []
        for connection in held:
            connection.close()
    [report] = [r for r in caplog.records if "gave up" in r.getMessage()]
    assert report.threadName == "poolscope-pusher"

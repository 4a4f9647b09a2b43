import logging
import threading

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from poolscope.catalogue import Evidence, OwnerKind, Phase
from poolscope.pushing.timeouts.timeout_report import describe_exhaustion
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.exhaustion import Exhaustion, HolderThen, WaitersThen
from poolscope.recording.pool import PoolConfiguration
from support.applications.apps import instrumented
from support.applications.dbapi import an_engine

A_HOLDER = HolderThen(7, UNKNOWN_SITE, "/orders", OwnerKind.REQUEST, 12.0, 47)
NOBODY = Exhaustion(0, 0, 0, (), {}, ())


def report(
    exhaustion: Exhaustion, configuration: PoolConfiguration | None = None, leaked: int = 0
) -> list[str]:
    """Return the lines for the pool "orders"; checkout number `leaked` has evidence against it."""
    evidence = {leaked: Evidence.REQUEST_FINISHED}
    return describe_exhaustion("orders", exhaustion, configuration, evidence.get).splitlines()


def test_a_pool_that_nobody_holds_says_so() -> None:
    configuration = PoolConfiguration("QueuePool", "sqlalchemy", max=3, timeout_s=30)
    [said] = report(NOBODY, configuration)
    assert said == (
        "pool orders: callers gave up after 30 s; now 0 used of 3, 0 idle, 0 waiting;"
        " nobody held a connection"
    )


def test_what_is_unknown_is_no_number() -> None:
    assert report(Exhaustion(None, None, 0, (), {}, ())) == [
        "pool orders: callers gave up; now ? used of ?, ? idle, 0 waiting; nobody held a connection"
    ]


def test_holders_are_listed_with_the_evidence_against_them_and_the_rest_is_counted() -> None:
    assert report(Exhaustion(3, 0, 3, (A_HOLDER,), {}, ()), leaked=7)[1:] == [
        "      12.0 s  /orders  an unknown line  (request, evidence request_finished, backend 47)",
        "  and 2 more",
    ]


def test_waiters_are_listed_by_phase_and_the_rest_is_counted() -> None:
    waiters = (
        WaitersThen(Phase.QUEUE, UNKNOWN_SITE, "/report", 54, 9.0),
        WaitersThen(Phase.PING, UNKNOWN_SITE, None, 1, 4.0),
    )
    waiting = {Phase.QUEUE: 60, Phase.CONNECT: 0, Phase.PING: 1}
    assert report(Exhaustion(3, 0, 0, (), waiting, waiters))[1:] == [
        "60 waiting in the queue:",
        "       9.0 s  /report  an unknown line  (54 waiting)",
        "  and 6 more",
        "1 waiting for a liveness check:",
        "       4.0 s  no route  an unknown line  (1 waiting)",
    ]


def test_the_report_answers_what_an_operator_asks_next(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="poolscope")
    with instrumented() as readings:
        engine = an_engine(pool_logging_name="orders")
        held = [engine.connect() for _ in range(3)]
        with pytest.raises(PoolTimeoutError):
            engine.connect()
        for connection in held:
            connection.close()  # before the pusher looks: the caller has looked already
        notices = readings.instrumentation.pusher._log_messages
        notices.log_timeouts()
        notices.log_timeouts()
    [said] = [record.getMessage() for record in caplog.records if "gave up" in record.getMessage()]
    first, *holders, cure = said.splitlines()
    assert first == (
        "poolscope: pool orders: callers gave up after 0.01 s;"
        " now 3 used of 3, 0 idle, 0 waiting; held by:"
    )
    assert "raise the maximum of the pool" in cure
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

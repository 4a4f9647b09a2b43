"""A pool's row has everything that is known of it, and null for what is not."""

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.web.rows import Row, pool_row
from support.exporter.builders import a_pool, a_waiting_caller


def row_of(numbers: PoolNumbers) -> Row:
    return pool_row(PoolAssessment(a_pool(), numbers, PoolDiagnosis(Diagnosis.FULL, ())))


def test_waiting_callers_are_listed_by_where_they_ask() -> None:
    callers = [a_waiting_caller(2.0), a_waiting_caller(3.25)]
    assert row_of(PoolNumbers(waiters=group_waiters(2, callers)))["waiters"] == [
        {
            "phase": "queue",
            "route": "/report",
            "code_file": "shop/report.py",
            "code_line": 20,
            "code_function": "report",
            "age_s": 3.25,
            "count": 2,
        }
    ]


def test_nobody_waits_is_an_empty_list_and_unknown_is_null() -> None:
    assert row_of(PoolNumbers(waiters=group_waiters(0, [])))["waiters"] == []
    assert row_of(PoolNumbers())["waiters"] is None

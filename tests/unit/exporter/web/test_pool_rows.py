"""A pool's row has everything that is known of it, and null for what is not."""

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.web.rows import Row, pool_row
from support.exporter.builders import a_pool, a_waiting_caller

A_DIAGNOSIS = PoolDiagnosis(Diagnosis.FULL, ())


def row_of(numbers: PoolNumbers, diagnosis: PoolDiagnosis = A_DIAGNOSIS) -> Row:
    return pool_row(PoolAssessment(a_pool(), numbers, diagnosis), {})


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
            "now": None,
        }
    ]


def test_nobody_waits_is_an_empty_list_and_unknown_is_null() -> None:
    fields = ("waiters", "waiters_waiting", "waiters_listed")
    nobody, unknown = row_of(PoolNumbers(waiters=group_waiters(0, []))), row_of(PoolNumbers())
    assert [nobody[name] for name in fields] == [[], 0, 0]
    assert [unknown[name] for name in fields] == [None, None, None]


def test_more_callers_may_wait_than_are_listed() -> None:
    row = row_of(PoolNumbers(waiters=group_waiters(140, [a_waiting_caller()] * 100)))
    assert (row["waiters_waiting"], row["waiters_listed"]) == (140, 100)


def test_a_diagnosis_has_an_age_and_is_probable_or_not() -> None:
    probable = PoolDiagnosis(Diagnosis.SLOW_QUERIES, ("why",), is_probable=True, since_s=41.23456)
    row = row_of(PoolNumbers(), probable)
    assert (row["diagnosis"], row["is_probable"]) == ("slow_queries", True)
    assert (row["diagnosis_age_s"], row["reasons"]) == (41.235, ["why"])
    assert (row_of(PoolNumbers())["is_probable"]) is False
    assert row_of(PoolNumbers())["diagnosis_age_s"] is None

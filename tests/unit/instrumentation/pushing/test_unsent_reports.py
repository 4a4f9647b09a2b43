"""The report of a first time-out is kept until an exporter has it: one for a pool, and bounded."""

import pytest

from poolscope import catalogue
from poolscope.pushing.timeouts.unsent_reports import (
    FRESH_S,
    MAX_KEPT,
    MAX_TEXT,
    SENT_AT_ONCE,
    UnsentReports,
    report_samples,
)
from poolscope.recording.pool import PoolIdentity


def a_pool(number: int) -> PoolIdentity:
    return PoolIdentity(name=f"pool-{number}")


def kept(*texts: str, number: int = 1) -> UnsentReports:
    reports = UnsentReports()
    for text in texts:
        reports.keep_report(a_pool(number), text, 0.0)
    return reports


def texts(reports: UnsentReports) -> list[str]:
    return [each.text for each in reports.due_reports()]


def test_a_report_is_due_until_it_is_dropped() -> None:
    reports = kept("a")
    assert texts(reports) == texts(reports) == ["a"]
    reports.drop_sent(reports.due_reports())
    assert texts(reports) == []


def test_a_newer_report_of_the_pool_is_not_dropped_with_a_sent_one() -> None:
    reports = kept("a")
    sent = reports.due_reports()
    reports.keep_report(a_pool(1), "b", FRESH_S)
    reports.drop_sent(sent)
    assert texts(reports) == ["b"]


@pytest.mark.parametrize(("later_s", "text"), [(FRESH_S - 1, "a"), (FRESH_S, "b")])
def test_a_pool_keeps_its_first_report_while_it_is_fresh(later_s: float, text: str) -> None:
    reports = kept("a")
    reports.keep_report(a_pool(1), "b", later_s)
    assert texts(reports) == [text]


def test_a_push_has_the_oldest_reports_and_the_next_one_the_others() -> None:
    reports = UnsentReports()
    for number in range(SENT_AT_ONCE + 2):
        reports.keep_report(a_pool(number), str(number), float(number))
    assert texts(reports) == [str(number) for number in range(SENT_AT_ONCE)]
    reports.drop_sent(reports.due_reports())
    assert texts(reports) == [str(SENT_AT_ONCE), str(SENT_AT_ONCE + 1)]


def test_the_oldest_report_gives_way_above_the_limit() -> None:
    reports = UnsentReports()
    for number in range(MAX_KEPT + 1):
        reports.keep_report(a_pool(number), str(number), float(number))
    assert texts(reports)[0] == "1"
    found = 0
    while due := reports.due_reports():
        found += len(due)
        reports.drop_sent(due)
    assert found == MAX_KEPT


@pytest.mark.parametrize("length", [MAX_TEXT, MAX_TEXT + 1])
def test_a_long_report_is_cut_after_a_whole_line(length: int) -> None:
    report = ("x" * 99 + "\n") * 100
    [text] = texts(kept(report[:length]))
    assert len(text) <= MAX_TEXT
    assert (text == report[:length]) is (length == MAX_TEXT)
    assert text.endswith("x\n…") is (length > MAX_TEXT)
    assert {len(line) for line in text.splitlines()} <= {99, 1}


def test_a_long_report_of_one_line_is_cut_too() -> None:
    [text] = texts(kept("x" * 5000))
    assert len(text) == MAX_TEXT


def test_a_path_that_is_no_text_does_not_make_each_push_fail() -> None:
    [text] = texts(kept("/srv/\udce9/app.py:3"))
    assert text == "/srv/?/app.py:3"


def test_a_sample_has_the_age_the_pool_and_the_text() -> None:
    [sample] = report_samples(kept("a").due_reports(), 2.5)
    assert (sample.metric, sample.value) == (catalogue.TIMEOUT_REPORT, 2.5)
    assert sample.attributes == {catalogue.POOL_NAME: "pool-1", catalogue.TIMEOUT_TEXT: "a"}

"""What is kept of the polls: times by two clocks, failures by reason, and each change once."""

from poolscope_exporter.polling.errors import Reason
from poolscope_exporter.polling.record import PollRecord


def test_before_the_first_poll_there_is_trouble_without_a_reason() -> None:
    record = PollRecord("main")
    report = record.report(10.0, 1010.0)

    assert (record.trouble, record.reason) == ("not polled yet", None)
    assert (report.server, report.last_success_s, report.duration_s) == ("main", None, None)
    assert set(report.failures) == {reason.value for reason in Reason}
    assert set(report.failures.values()) == {0}


def test_good_poll_is_reported_by_the_wall_clock_with_its_duration() -> None:
    record = PollRecord("main")
    record.poll_succeeded(started_at_s=5.0, now_s=5.5)

    report = record.report(now_s=8.5, wall_s=1008.5)

    assert (record.trouble, record.reason) == (None, None)
    assert (report.last_success_s, report.duration_s) == (1005.5, 0.5)
    assert record.last_success_age_s(8.5) == 3.0


def test_failure_says_why_and_leaves_the_last_success() -> None:
    record = PollRecord("main")
    record.poll_succeeded(5.0, 5.5)
    record.poll_failed(Reason.REFUSED, "no way")

    assert (record.trouble, record.reason) == ("refused: no way", Reason.REFUSED)
    assert record.last_success_age_s(8.5) == 3.0
    assert record.report(8.5, 1008.5).failures["refused"] == 1


def test_failures_in_a_row_end_with_a_good_poll() -> None:
    record = PollRecord("main")
    for _ in range(3):
        record.poll_failed(Reason.REFUSED, "no way")
    assert record.failures_in_a_row == 3

    record.poll_succeeded(5.0, 5.5)
    assert record.failures_in_a_row == 0


def test_only_another_outcome_is_a_change() -> None:
    record = PollRecord("main")

    changes = [
        record.poll_succeeded(0.0, 1.0),
        record.poll_succeeded(1.0, 2.0),
        record.poll_failed(Reason.REFUSED, "no way"),
        record.poll_failed(Reason.REFUSED, "no way at all"),
        record.poll_failed(Reason.TIMEOUT, "no answer"),
        record.poll_succeeded(5.0, 6.0),
        record.poll_failed(Reason.TIMEOUT, "no answer"),
    ]

    assert changes == [True, False, True, False, True, True, True]

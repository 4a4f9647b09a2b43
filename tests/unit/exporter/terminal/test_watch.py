"""A failure to read keeps the last data, with the time since which there was no answer."""

from dataclasses import replace

import pytest

from poolscope_exporter.terminal.pool_lines import PoolChoice
from poolscope_exporter.terminal.source import ReadFailure
from poolscope_exporter.terminal.watch import PoolWatch
from support.exporter.prepared_source import a_reading
from support.exporter.reported import a_reported_checkout, a_reported_pool

READING = a_reading([a_reported_pool(), a_reported_pool(pool="cache", used=5)])
REFUSED = ReadFailure("http://exporter does not answer: refused")
WALL_S = 1_767_225_600.0
"""2026-01-01 00:00:00 UTC."""


def a_watch(interval_s: float = 2.0) -> PoolWatch:
    return PoolWatch("http://exporter", interval_s)


def test_the_time_of_the_first_failure_stays_while_its_reason_follows_the_last() -> None:
    watch = a_watch()
    watch.accept_answer(READING, 0.0, WALL_S)
    assert (watch.problem_line(1.0), watch.is_old) == ("", False)
    watch.accept_answer(ReadFailure("timed out"), 2.0, WALL_S + 2)
    watch.accept_answer(REFUSED, 4.0, WALL_S + 4)
    assert watch.problem_line(9.0) == (
        "No answer since 00:00:02 UTC (7 s): http://exporter does not answer: refused. "
        "Trying again every 2 s; the data is OLD, as of 03:12:45."
    )
    assert watch.is_old
    assert len(watch.shown_lines()) == 2


def test_an_answer_ends_the_failure() -> None:
    watch = a_watch()
    watch.accept_answer(REFUSED, 0.0, WALL_S)
    assert "there is no data yet" in watch.problem_line(0.0)
    watch.accept_answer(READING, 2.0, WALL_S + 2)
    assert (watch.problem_line(2.0), watch.is_old) == ("", False)


def test_the_reason_of_a_failure_cannot_steer_the_terminal() -> None:
    watch = a_watch()
    watch.accept_answer(ReadFailure("a\x1b[2Jb"), 0.0, WALL_S)
    assert "a?[2Jb" in watch.problem_line(0.0)


def test_every_line_has_a_trend_in_each_unit() -> None:
    watch = a_watch()
    watch.accept_answer(READING, 0.0, WALL_S)
    for _ in range(3):
        assert all(watch.last_minute(line.key)[-1] != "·" for line in watch.shown_lines())
        watch.next_grouping()


def test_a_long_interval_leaves_no_gaps_in_the_trend() -> None:
    watch = a_watch(interval_s=20.0)
    for at_s in (0.0, 20.0, 40.0):
        watch.accept_answer(READING, at_s, WALL_S + at_s)
    assert "·" not in watch.last_minute(watch.shown_lines()[0].key)


def test_the_filter_passes_through_the_present_words_and_back_to_all_pools() -> None:
    watch = a_watch()
    watch.accept_answer(a_reading([a_reported_pool()], [a_reported_checkout()]), 0.0, WALL_S)
    seen = []
    for _ in range(3):
        watch.next_verdict()
        seen.append(watch.choice.verdict)
    assert seen == ["leaked", "leaking", None]


def test_a_filter_that_no_pool_matches_any_more_ends_with_the_next_key() -> None:
    watch = replace(a_watch(), choice=PoolChoice(verdict="lost"))
    watch.accept_answer(READING, 0.0, WALL_S)
    assert watch.note_line() == "No pool matches the filter."
    watch.next_verdict()
    assert watch.choice.verdict is None


@pytest.mark.parametrize("taken_at", ["soon", ""])
def test_a_time_stamp_that_cannot_be_read_is_shown_as_it_is(taken_at: str) -> None:
    watch = a_watch()
    watch.accept_answer(replace(READING, taken_at=taken_at), 0.0, WALL_S)
    assert f"as of {taken_at or '?'}" in watch.status_line()


def test_an_exporter_without_pools_says_that_no_application_pushes() -> None:
    watch = a_watch()
    assert watch.note_line() == ""
    watch.accept_answer(a_reading(), 0.0, WALL_S)
    assert watch.note_line() == "No application pushes pools to this exporter now."


def test_the_trend_has_a_gap_for_the_time_without_an_answer() -> None:
    watch = a_watch()
    watch.accept_answer(READING, 0.0, WALL_S)
    watch.accept_answer(REFUSED, 20.0, WALL_S + 20)
    key = watch.shown_lines()[0].key
    before = watch.last_minute(key)
    assert before == "·" * 11 + "▅"
    watch.accept_answer(READING, 30.0, WALL_S + 30)
    assert watch.last_minute(key) == "·" * 5 + "▅" + "·" * 5 + "▅"

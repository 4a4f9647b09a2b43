"""The page of the incidents has every outcome, and the run fails with the targets it missed."""

from pathlib import Path

from poolscope_generators.incidents.document import missed, page
from poolscope_generators.incidents.outcome import judge
from poolscope_generators.incidents.record import (
    Delays,
    Record,
    Sent,
    Shown,
    read_records,
    write_record,
)
from poolscope_generators.incidents.truth import Truth

LOCK = Truth("lock-by-psql", "a lock", "its end", ("blocked",), ("PoolBlocked",))
RECORD = Record(
    LOCK,
    lasted_s=300.0,
    until_s=840.0,
    shown=(Shown(4.0, "a1", "blocked", "2 wait"),),
    fired=(),
    sent=(Sent(90.0, "pager", "firing", "PoolBlocked", "critical", "a | b"),),
    delays=Delays({"PoolBlocked/critical": 60.0}, {"pager": 10.0}),
)


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path)
    assert read_records(tmp_path) == [RECORD]


def test_the_page_has_truth_outcome_and_text() -> None:
    lines = page([LOCK], [judge(RECORD)]).splitlines()
    assert "| lock by psql | a lock | its end | `blocked` | `PoolBlocked` |" in lines
    outcome = "| `blocked` 4 s |  | `PoolBlocked` (critical) 90 s | 105 s | 1 + 0 | 0 + 0 | 0 s |"
    assert f"| lock by psql {outcome}  | all met |" in lines
    assert "| lock by psql | `PoolBlocked` | a \\| b |" in lines


def test_without_outcomes_the_page_shows_that_nothing_was_played() -> None:
    text = page([LOCK], [])
    assert "No run of the whole set is recorded yet." in text
    assert "## The targets" not in text


def test_a_run_with_too_few_right_names_is_missed() -> None:
    assert missed([judge(RECORD)] * 17) == []
    assert missed([judge(RECORD)] * 16) == ["the right name came first in only 16"]

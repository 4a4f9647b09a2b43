"""Two releases side by side: unknown is neither zero nor healthy, and little data is named."""

from poolscope_exporter.core.fleet.service_totals.release_comparison import compare_newest
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.web.releases.comparison_rows import (
    FACTS,
    ComparisonTable,
    comparison_notes,
    comparison_table,
)
from support.exporter.releases import a_release


def table_of(*releases: ReleaseNumbers) -> ComparisonTable:
    (found,) = compare_newest(releases)
    return comparison_table(found)


def cells_of(release: ReleaseNumbers) -> dict[str, str]:
    (column,) = table_of(release).columns
    return dict(zip(FACTS, column.cells, strict=True))


def test_the_release_before_stands_on_the_left_with_its_shares() -> None:
    before = a_release("1.9", first_seen_age_s=90_000.0, live=0, timeouts=1)
    after = a_release("2.0", wait_p95_s=0.412, timeouts=120, leaks=3)
    found = table_of(after, before)

    assert [(each.side, each.version) for each in found.columns] == [
        ("before", "1.9"),
        ("after", "2.0"),
    ]
    assert found.columns[0].cells == (
        "25 h ago", "2, none pushes now", "10,001", "12 ms", "1 (0.01 %)", "0", "0",
    )  # fmt: skip
    assert found.columns[1].cells == (
        "10 min ago", "2, 2 push now", "10,120", "412 ms", "120 (1.2 %)", "0", "3 (0.03 %)",
    )  # fmt: skip
    assert comparison_notes([found], 0) == []


def test_no_failure_and_no_leak_of_few_callers_is_too_little_data_and_not_zero() -> None:
    cells = cells_of(a_release(checkouts=12, wait_p95_s=0.001))

    assert cells["callers"] == "12"
    quality = ("wait, 95th percentile", "time-outs", "failures", "leaks")
    assert {cells[fact] for fact in quality} == {"too little data"}


def test_a_leak_of_few_callers_is_still_shown() -> None:
    cells = cells_of(a_release(checkouts=12, leaks=5, failures=2))

    assert (cells["leaks"], cells["failures"]) == ("5", "2")
    assert cells["time-outs"] == "too little data"


def test_unknown_numbers_are_unknown() -> None:
    cells = cells_of(a_release(wait_p95_s=None, timeouts=None, failures=None, leaks=None))

    quality = ("wait, 95th percentile", "time-outs", "failures", "leaks")
    assert {cells[fact] for fact in quality} == {"unknown"}
    assert cells_of(a_release(checkouts=None))["callers"] == "unknown"


def test_notes_name_the_release_with_too_little_data_and_the_processes_without_a_version() -> None:
    few = table_of(a_release("2.0", checkouts=1), a_release("1.9", first_seen_age_s=9e4))
    unknown = table_of(a_release("2.0", checkouts=None))

    assert comparison_notes([few], 1) == [
        "2.0 has too little data: 1 caller, at least 100 are needed.",
        "1 process does not report service.version, and counts for no release.",
    ]
    assert comparison_notes([unknown], 2) == [
        "2.0 has too little data: an unknown number of callers, at least 100 are needed.",
        "No other release was seen since the exporter started: nothing to compare.",
        "2 processes do not report service.version, and count for no release.",
    ]

"""What a row's line says of pytest's report."""

from pathlib import Path

import pytest

from poolscope_generators.matrix.results import Result, read_result

REPORT = """<testsuites><testsuite>
<testcase name="test_one"/>
<testcase name="test_two"><skipped message="no"/></testcase>
<testcase name="test_three"><failure message="no"/></testcase>
<testcase name="test_four"/><testcase name="test_four"><error message="at teardown"/></testcase>
</testsuite></testsuites>"""


def test_each_test_is_counted_by_its_outcome(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)

    assert read_result(report) == Result(2, ("no",), ("test_three", "test_four"))


@pytest.mark.parametrize(
    ("result", "text", "is_good"),
    [
        (Result(1206, (), ()), "1,206 passed", True),
        (Result(39, ("no TLS", "no TLS"), ()), "39 passed, 2 skipped. Reason: no TLS.", True),
        (Result(0, ("a", "b"), ()), "0 passed, 2 skipped. Reason: a. Reason: b.", False),
        (Result(4, (), ("a", "b", "c")), "4 passed, 3 failed: a, b, c", False),
        (Result(4, (), ("a", "b", "c", "d")), "4 passed, 4 failed: a, b, c, …", False),
    ],
)
def test_a_row_is_good_if_tests_passed_and_none_failed(
    result: Result, text: str, is_good: bool
) -> None:
    assert (result.text(), result.is_good) == (text, is_good)

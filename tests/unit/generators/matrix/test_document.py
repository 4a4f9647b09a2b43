"""The table of docs/compatibility.md."""

from poolscope_generators.matrix.document import (
    BEGIN,
    END,
    NOT_RUN,
    TESTS_BEGIN,
    TESTS_END,
    Line,
    read_lines,
    update,
)
from poolscope_generators.matrix.rows import ROWS
from poolscope_generators.matrix.selections import Scope

PAGE = f"# Title\n\n{BEGIN}\n{END}\n{TESTS_BEGIN}\n{TESTS_END}\nmore\n"
FIRST, SECOND = ROWS[:2]


def test_a_row_that_never_ran_says_so() -> None:
    lines = read_lines(update(PAGE, ROWS, {}))

    assert lines == {row.name: Line("", "", NOT_RUN) for row in ROWS}


def test_a_run_of_some_rows_keeps_the_lines_of_the_others() -> None:
    before = update(PAGE, ROWS, {FIRST.name: Line("14.1", "whole", "9 passed")})

    lines = read_lines(update(before, ROWS, {SECOND.name: Line("15.1", "whole", "8 passed")}))

    assert lines[FIRST.name] == Line("14.1", "whole", "9 passed")
    assert lines[SECOND.name] == Line("15.1", "whole", "8 passed")


def test_the_line_of_a_row_that_is_gone_is_gone() -> None:
    before = update(PAGE, (FIRST, SECOND), {FIRST.name: Line("14.1", "whole", "9 passed")})

    assert read_lines(update(before, (SECOND,), {})).keys() == {SECOND.name}


def test_what_is_around_the_table_stays() -> None:
    text = update(PAGE, ROWS, {})

    assert text.startswith("# Title\n")
    assert text.endswith(f"{TESTS_END}\nmore\n")


def test_a_bar_in_a_result_ends_no_cell() -> None:
    text = update(PAGE, ROWS, {FIRST.name: Line("none", "none", "not run: a | b")})

    assert read_lines(text)[FIRST.name].result == "not run: a / b"


def test_the_tests_of_each_counterpart_are_named() -> None:
    text = update(PAGE, ROWS, {}).split(TESTS_BEGIN)[1]

    assert {
        path for row in ROWS for path in row.tests(Scope.WHOLE) if f"`{path}`" not in text
    } == set()

"""The table of docs/compatibility.md."""

from poolscope_generators.matrix.document import BEGIN, END, NOT_RUN, Line, read_lines, update
from poolscope_generators.matrix.rows import ROWS

PAGE = f"# Title\n\n{BEGIN}\n{END}\nmore\n"
FIRST, SECOND = ROWS[:2]


def test_a_row_that_never_ran_says_so() -> None:
    lines = read_lines(update(PAGE, ROWS, {}))

    assert lines == {row.name: Line("", NOT_RUN) for row in ROWS}


def test_a_run_of_some_rows_keeps_the_lines_of_the_others() -> None:
    before = update(PAGE, ROWS, {FIRST.name: Line("14.1", "9 passed")})

    lines = read_lines(update(before, ROWS, {SECOND.name: Line("15.1", "8 passed")}))

    assert lines[FIRST.name] == Line("14.1", "9 passed")
    assert lines[SECOND.name] == Line("15.1", "8 passed")


def test_the_line_of_a_row_that_is_gone_is_gone() -> None:
    before = update(PAGE, (FIRST, SECOND), {FIRST.name: Line("14.1", "9 passed")})

    assert read_lines(update(before, (SECOND,), {})).keys() == {SECOND.name}


def test_what_is_around_the_table_stays() -> None:
    text = update(PAGE, ROWS, {})

    assert text.startswith("# Title\n")
    assert text.endswith(f"{END}\nmore\n")


def test_a_bar_in_a_result_ends_no_cell() -> None:
    text = update(PAGE, ROWS, {FIRST.name: Line("none", "not obtainable: a | b")})

    assert read_lines(text)[FIRST.name].result == "not obtainable: a / b"

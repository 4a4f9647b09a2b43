"""A plain table keeps its columns aligned, whatever characters are in it."""

from poolscope_exporter.terminal.cells import TextCell
from poolscope_exporter.terminal.plain_table import table_lines, text_width


def test_numbers_are_on_the_right_and_texts_on_the_left() -> None:
    rows = [
        [TextCell("a"), TextCell("1", is_number=True), TextCell("x")],
        [TextCell("long name"), TextCell("200", is_number=True), TextCell("")],
    ]
    assert list(table_lines(["pool", "used", "why"], rows)) == [
        "pool       used  why",
        "a             1  x",
        "long name   200",
    ]


def test_a_wide_character_needs_two_columns_and_a_mark_none() -> None:
    assert text_width("日本") == 4
    assert text_width("e\u0301") == 1
    rows = [[TextCell("日本"), TextCell("x")], [TextCell("abcd"), TextCell("y")]]
    assert list(table_lines(["p", "q"], rows))[1:] == ["日本  x", "abcd  y"]

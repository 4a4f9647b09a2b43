"""Which rows of the matrix run."""

import pytest

from poolscope_generators.matrix.environments import ROOT
from poolscope_generators.matrix.rows import ROWS, UnknownRowError, chosen
from poolscope_generators.matrix.selections import Scope


def test_without_names_every_row_runs() -> None:
    assert chosen([]) == ROWS


def test_named_rows_run_in_the_order_of_their_names() -> None:
    assert [row.name for row in chosen(["python-3.14", "postgres-14"])] == [
        "python-3.14", "postgres-14",
    ]  # fmt: skip


def test_an_unknown_name_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(UnknownRowError, match="no rows: postgres-9; there are postgres-12, "):
        chosen(["postgres-14", "postgres-9"])


def test_no_two_rows_have_one_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_tests_of_every_row_are_in_this_tree() -> None:
    paths = {path for row in ROWS for scope in Scope for path in row.tests(scope)}

    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_a_short_run_has_only_the_rows_that_are_an_end() -> None:
    assert {row.is_an_end for row in ROWS if row.tests(Scope.SHORT)} == {True}

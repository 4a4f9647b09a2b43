"""Running rows: what counts as good, and what is written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from poolscope_generators.matrix import rows, run
from poolscope_generators.matrix.debian import NotObtainableError
from poolscope_generators.matrix.document import (
    BEGIN,
    END,
    TESTS_BEGIN,
    TESTS_END,
    Line,
    read_lines,
)
from poolscope_generators.matrix.environments import Environment
from poolscope_generators.matrix.results import Result
from poolscope_generators.matrix.rows import Row
from poolscope_generators.matrix.selections import Scope, Selection

GOOD, BAD = Result(3, (), ()), Result(2, (), ("test_it",))
Play = Callable[..., int]


def not_there() -> Environment:
    raise NotObtainableError("needs npm")


TESTS = Selection("it works", ("some",), ("more",), ("few",))


def a_row(name: str, *, is_there: bool = True, is_promised: bool = True) -> Row:
    environment = (lambda: Environment("1.0")) if is_there else not_there
    return Row(name, "Thing", environment, TESTS, is_an_end=True, is_promised=is_promised)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n{TESTS_BEGIN}\n{TESTS_END}\n")
    monkeypatch.setattr(run, "DOCUMENT", page)
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    return page


@pytest.fixture
def play(page: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Return a function that runs rows with given results of their tests."""

    def play(*given: Row, result: Result | None, arguments: tuple[str, ...] = ()) -> int:
        for module in (rows, run):
            monkeypatch.setattr(module, "ROWS", given)
        monkeypatch.setattr(run, "_test", lambda *_: result)
        return run.main(arguments)

    return play


def test_a_row_whose_tests_pass_is_good_and_written(play: Play, page: Path) -> None:
    assert play(a_row("one"), result=GOOD) == 0
    assert read_lines(page.read_text()) == {"one": Line("1.0", "whole", "3 passed")}


def test_a_row_with_a_failed_test_is_bad_and_written(play: Play, page: Path) -> None:
    assert play(a_row("one"), result=BAD) == 1
    assert read_lines(page.read_text()) == {
        "one": Line("1.0", "whole", "2 passed, 1 failed: test_it")
    }


def test_a_counterpart_that_cannot_be_got_is_bad_and_the_page_has_the_reason(
    play: Play, page: Path
) -> None:
    assert play(a_row("one", is_there=False), result=GOOD) == 1
    assert read_lines(page.read_text()) == {"one": Line("none", "none", "not run: needs npm")}


@pytest.mark.parametrize("is_there", [True, False])
def test_a_row_that_is_not_promised_breaks_nothing(play: Play, is_there: bool) -> None:
    assert play(a_row("one", is_there=is_there, is_promised=False), result=BAD) == 0


@pytest.mark.parametrize(("is_there", "code"), [(True, 1), (False, 0)])
def test_a_version_that_a_machine_may_lack_must_be_good_where_it_is(
    play: Play, is_there: bool, code: int
) -> None:
    row = replace(a_row("one", is_there=is_there), may_lack=True)

    assert play(row, result=BAD) == code


def test_a_run_that_was_interrupted_is_bad_and_the_page_keeps_its_line(
    play: Play, page: Path
) -> None:
    play(a_row("one"), result=GOOD)

    assert play(a_row("one"), result=None) == 1
    assert read_lines(page.read_text()) == {"one": Line("1.0", "whole", "3 passed")}


def test_a_short_run_writes_nothing(play: Play, page: Path) -> None:
    before = page.read_text()

    assert play(a_row("one"), result=GOOD, arguments=("--scope", "short")) == 0
    assert page.read_text() == before


def test_a_short_run_of_a_row_that_has_none_is_refused(play: Play) -> None:
    with pytest.raises(SystemExit, match="no short run"):
        play(replace(a_row("one"), is_an_end=False), result=GOOD, arguments=("--scope", "short"))


def test_one_bad_row_stops_no_other(play: Play, page: Path) -> None:
    assert play(a_row("one", is_there=False), a_row("two"), result=GOOD) == 1
    assert read_lines(page.read_text())["two"] == Line("1.0", "whole", "3 passed")


def test_the_page_has_the_scope_of_the_tests_that_ran(play: Play, page: Path) -> None:
    assert play(a_row("one"), result=GOOD, arguments=("--scope", "selected")) == 0
    assert read_lines(page.read_text()) == {"one": Line("1.0", "selected", "3 passed")}


@pytest.mark.parametrize(
    ("scope", "tests"),
    [(Scope.WHOLE, ("some", "more")), (Scope.SELECTED, ("some",)), (Scope.SHORT, ("few",))],
)
def test_a_scope_chooses_the_tests(scope: Scope, tests: tuple[str, ...]) -> None:
    assert a_row("one").tests(scope) == tests

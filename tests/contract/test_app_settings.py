"""Each setting of the instrumentation is an argument, and in the docs with its default."""

import inspect
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

import poolscope
from poolscope.settings import Settings, Source, sources

DOCUMENT = Path(__file__).parents[2] / "docs" / "instrumentation.md"
HEAD = "| variable of the app | default | |"

walk = pytest.mark.parametrize("source", sources(), ids=lambda source: source.field)


def documented() -> Iterator[tuple[str, str]]:
    """Yield each variable of the table with its default; a row may have several of both."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for row in takewhile(lambda line: line.startswith("|"), lines[lines.index(HEAD) + 2 :]):
        names, defaults = (cell.replace("`", "").strip() for cell in row.split("|")[1:3])
        variables = names.split(", ")
        values = defaults.split(", ") if defaults else [""] * len(variables)
        yield from zip(variables, values, strict=True)


def text_of(default: object) -> str:
    """Return a default as a reader would write it in a variable."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple | frozenset):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, int | float) else str(default or "")


@walk
def test_each_setting_is_documented_with_its_default(source: Source) -> None:
    assert dict(documented())[source.variable] == text_of(getattr(Settings(), source.field))


@walk
def test_each_setting_is_an_argument_of_instrument(source: Source) -> None:
    assert source.argument in inspect.signature(poolscope.instrument).parameters


def test_no_setting_is_documented_that_is_not_there() -> None:
    read = {source.variable for source in sources()}
    assert {variable for variable, _ in documented()} - read == {"OTEL_RESOURCE_ATTRIBUTES"}

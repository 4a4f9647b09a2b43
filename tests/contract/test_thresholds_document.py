"""The documented thresholds and checks are those that there are."""

import re
from itertools import takewhile

from poolscope_exporter.core.checks.model import CheckId
from poolscope_generators.tables.thresholds import DOCUMENT, HEAD, table


def test_the_documented_thresholds_are_those_of_the_source() -> None:
    lines = DOCUMENT.read_text().splitlines()
    documented = takewhile(lambda line: line.startswith("|"), lines[lines.index(HEAD[0]) :])
    cure = "run `make docs`"
    assert list(documented) == table(), cure


def test_every_check_is_explained_and_no_other() -> None:
    explained = re.findall(r"^\| \*\*(C\d+)\*\* \|", DOCUMENT.read_text(), re.MULTILINE)
    assert explained == list(CheckId)

"""The README shows on its first screen what the demo finds, with the lines that are there."""

import re
from pathlib import Path

import pytest

from poolscope_exporter import demo
from support.documents.markdown import ROOT

FIRST_SCREEN = 45
"""Lines of the README that a browser or a terminal shows without scrolling, about."""

SOURCE = Path(demo.__file__).with_name("sample_app.py").read_text().splitlines()
SHOWN = (ROOT / "README.md").read_text().splitlines()[:FIRST_SCREEN]


@pytest.mark.parametrize(
    ("verdict", "taken", "kept", "call"),
    [
        ("leaked", "await engine.connect()", None, None),
        ("slow_query", "execute(turnover)", "execute(turnover)", "AsyncSession.execute"),
        ("idle_in_transaction", '"paying"', "asyncio.sleep(PAYMENT_S)", "asyncio.sleep"),
    ],
)
def test_each_problem_of_the_demo_is_shown_with_the_line_that_keeps_its_connection(
    verdict: str, taken: str, kept: str | None, call: str | None
) -> None:
    row = row_of(verdict)
    numbers = [int(number) for number in re.findall(r"sample_app\.py:(\d+)", row)]
    lines = [SOURCE[number - 1] for number in numbers]
    assert taken in lines[0]
    if kept is None:
        assert len(lines) == 1
    else:
        assert kept in lines[1]
        assert f"now waiting in {call}" in row or f"{call} at" in row


def row_of(verdict: str) -> str:
    """Return the lines of one row of the table that the terminal shows, as one line."""
    [begin] = [n for n, line in enumerate(SHOWN) if line.startswith(f" {verdict} ")]
    rest = SHOWN[begin + 1 :]
    words = ("request_finished", "       ")
    end = next(
        n for n, line in enumerate(rest) if not line.startswith(tuple(f" {w}" for w in words))
    )
    return re.sub(r"\s+", " ", " ".join([SHOWN[begin], *rest[:end]]))

"""Write the tables of docs/guides.md: each statement of the guides, and where poolscope has it.

`make docs` runs it.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from poolscope_generators.tables.guide_practices import PRACTICES
from poolscope_generators.tables.guide_statement import Coverage, GuideSection, GuideStatement
from poolscope_generators.tables.guide_thresholds import CONFIGURATION, OWN, SIGNALS

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "guides.md"
BEGIN, END = "<!-- guides: written by make docs -->", "<!-- /guides -->"
SECTIONS: Final[tuple[GuideSection, ...]] = (SIGNALS, CONFIGURATION, *PRACTICES, OWN)
_CHECKS = "configuration-checks.md#what-each-check-looks-at"
_PANELS = "dashboards.md#from-question-to-panel"
_HEAD = "| the guides | state | where you see it | what to do | what is missing |"


def tables() -> list[str]:
    """Return the lines between the markers."""
    return [*_summary(), *(line for section in SECTIONS for line in _section(section))]


def write() -> None:
    """Put the tables between the markers of the document."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text("\n".join([before + BEGIN, *tables(), END]) + after)


def _summary() -> Iterator[str]:
    rows = [
        statement for section in SECTIONS for statement in section.statements if section is not OWN
    ]
    counts = Counter(statement.coverage for statement in rows)
    states = ", ".join(f"{counts[state]} {state}" for state in Coverage)
    yield f"The guides have {len(rows)} statements here: {states}."
    yield ""


def _section(section: GuideSection) -> Iterator[str]:
    yield from (f"## {section.title}", "", _HEAD, "|---|---|---|---|---|")
    yield from map(_row, section.statements)
    yield ""


def _row(statement: GuideStatement) -> str:
    ids = "".join(f"**{row}** " for row in statement.rows)
    cells = (
        f"{ids}{statement.words}",
        statement.coverage,
        "; ".join(_places(statement)),
        statement.cure,
        statement.missing,
    )
    return f"| {' | '.join(cells)} |"


def _places(statement: GuideStatement) -> Iterator[str]:
    """Yield a link for each kind of place that shows the statement."""
    for alert in statement.alerts:
        yield f"alert [{alert}](../alerts/runbooks/{alert}.md)"
    for panel in statement.panels:
        dashboard, _, title = panel.partition(": ")
        yield f"panel [{dashboard}]({_PANELS}): *{title}*"
    for check in statement.checks:
        yield f"check [{check}]({_CHECKS})"


if __name__ == "__main__":
    write()

"""Write the table of senders in docs/compatibility.md from what the tests recorded of each.

`make compatibility` runs the senders, then `python -m poolscope_generators.tables.senders FOLDER`.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[3] / "docs" / "compatibility.md"
BEGIN, END = "<!-- senders: written by make compatibility -->", "<!-- /senders -->"
HEAD = (
    "| sender | version | used | idle | limit | waiting | time-outs | diagnosis when full |",
    "|---|---|---|---|---|---|---|---|",
)


def table(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table."""
    return [*HEAD, *map(_row, records)]


def write(records: Iterable[Mapping[str, Any]]) -> None:
    """Put the table between its markers."""
    before, rest = DOCUMENT.read_text().split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text("\n".join([f"{before}{BEGIN}", *table(records), f"{END}{after}"]))


def _row(record: Mapping[str, Any]) -> str:
    numbers = (_shown(record[name]) for name in ("used", "idle", "max"))
    counts = (_is_counted(record[name]) for name in ("pending", "timeouts_total"))
    cells = [record["name"], record["version"], *numbers, *counts, f"`{record['diagnosis']}`"]
    return f"| {' | '.join(cells)} |"


def _shown(number: int | None) -> str:
    return "not sent" if number is None else str(number)


def _is_counted(number: int | None) -> str:
    """Return whether a count is sent; its value differs from run to run."""
    return "not sent" if number is None else "counted"


def main() -> None:
    """Write the table from a folder of records, one file for each sender."""
    files = sorted(Path(sys.argv[1]).glob("*.json"))
    write([json.loads(file.read_text()) for file in files])


if __name__ == "__main__":
    main()

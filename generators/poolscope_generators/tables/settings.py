"""Write the table of settings in docs/exporter.md from the settings themselves.

`make docs` runs it.
"""

from collections.abc import Iterable
from pathlib import Path

from poolscope_exporter.settings.declaration import Option
from poolscope_exporter.settings.options import OPTIONS

DOCUMENT = Path(__file__).parents[3] / "docs" / "exporter.md"
HEAD = ("| flag | variable | key in the file | meaning (default) |", "|---|---|---|---|")


def table(options: Iterable[Option] = OPTIONS) -> list[str]:
    """Return the lines of the table."""
    return [*HEAD, *map(_row, options)]


def write() -> None:
    """Put the table where the old one stands."""
    lines = DOCUMENT.read_text().splitlines()
    start = lines.index(HEAD[0])
    end = next((n for n, line in enumerate(lines) if n > start and line[:1] != "|"), len(lines))
    DOCUMENT.write_text("\n".join([*lines[:start], *table(), *lines[end:]]) + "\n")


def _row(option: Option) -> str:
    flag = f"`{option.flag} {option.metavar}`".replace(" `", "`") if option.flag else ""
    key = f"`{option.field}`" if option.in_file else ""
    if option.in_table and option.in_table != option.field:
        key += f"; per server `{option.in_table}`"
    elif option.in_table:
        key += "; per server too"
    return f"| {flag} | `{option.variable}` | {key} | {option.help} |"


if __name__ == "__main__":
    write()

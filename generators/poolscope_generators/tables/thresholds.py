"""Write the table in docs/configuration-checks.md from the documented thresholds themselves.

`make docs` runs it.
"""

from pathlib import Path

from poolscope_exporter.core.checks.thresholds import DEFAULTS, Threshold, Unit

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration-checks.md"
HEAD = (
    "| id | what | limit or safe range | lasting | severity | what to do |",
    "|---|---|---|---|---|---|",
)


def table() -> list[str]:
    """Return the lines of the table."""
    return [*HEAD, *map(_row, DEFAULTS)]


def write() -> None:
    """Put the table where the old one stands."""
    lines = DOCUMENT.read_text().splitlines()
    start = lines.index(HEAD[0])
    end = next((n for n, line in enumerate(lines) if n > start and line[:1] != "|"), len(lines))
    DOCUMENT.write_text("\n".join([*lines[:start], *table(), *lines[end:]]) + "\n")


def _row(row: Threshold) -> str:
    lasting = f"{row.for_s:g} s" if row.for_s else ""
    return (
        f"| {row.id} | {row.title} | {_numbers(row)} | {lasting} | {row.severity} | {row.advice} |"
    )


def _numbers(row: Threshold) -> str:
    if row.value is not None:
        limit = _with_unit(row.value, row.unit)
        return limit if row.most is None else f"{limit}; at most {_with_unit(row.most, row.unit)}"
    if row.least is None or row.most is None:
        return ""
    return f"{row.least:g} to {_with_unit(row.most, row.unit)}"


def _with_unit(number: float, unit: Unit) -> str:
    if unit is Unit.SHARE:
        return f"{100 * number:g} %"
    return f"{number:g}" if unit is Unit.RATIO else f"{number:g} {unit}"


if __name__ == "__main__":
    write()

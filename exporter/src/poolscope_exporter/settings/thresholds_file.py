"""Read and write the file in which users change the documented thresholds."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from poolscope_exporter.core.checks.thresholds import (
    DEFAULTS,
    Threshold,
    Thresholds,
    WrongThresholdsError,
    changed,
    keys,
)

_HEAD = """\
# The documented thresholds: change their numbers only here.
# After a change: make rules. The exporter reads the same file: --thresholds alerts/thresholds.toml
# A number that you leave out keeps the value written here. A share is from 0 to 1.
"""


def load_thresholds(path: Path) -> Thresholds:
    """Return the thresholds with the changes from the file.

    Raises WrongThresholdsError with one line for each error.
    """
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise WrongThresholdsError([f"{path}: must be a file that can be read"]) from None
    except tomllib.TOMLDecodeError as exc:
        raise WrongThresholdsError([f"{path}: is not TOML: {exc}"]) from None
    try:
        return changed(DEFAULTS, changes)
    except WrongThresholdsError as exc:
        problems = [f"{path}: {problem}" for problem in exc.problems]
        raise WrongThresholdsError(problems) from None


def thresholds_text(thresholds: Thresholds = DEFAULTS) -> str:
    """Return the text of a file that sets every number."""
    return "\n".join([_HEAD, *("\n".join(_table(row)) + "\n" for row in thresholds)])


def _table(row: Threshold) -> Iterator[str]:
    unit = f" ({row.unit})" if row.unit else ""
    yield f"[{row.id}] # {row.title}{unit}"
    for key in keys(row):
        value = getattr(row, key)
        yield f'{key} = "{value}"' if key == "severity" else f"{key} = {value:g}"

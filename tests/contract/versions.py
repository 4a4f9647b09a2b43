"""Write the one version everywhere: `make version`, after changing that of `poolscope`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "instrumentation" / "src" / "poolscope" / "version.py"
_SOURCE = re.compile(r'(?<=__version__ = ")[^"]+')
COPIES = (
    (ROOT / "exporter" / "src" / "poolscope_exporter" / "version.py", _SOURCE),
    (ROOT / "exporter" / "pyproject.toml", re.compile(r'(?<="poolscope==)[^"]+')),
    (ROOT / "docs" / "upgrading.md", re.compile(r"(?<=^poolscope-exporter )\d\S*", re.MULTILINE)),
)
"""Each file and where in it the version stands, once."""


def version() -> str:
    """Return the version, from the only place where it is changed by hand."""
    return read(SOURCE, _SOURCE)


def read(path: Path, place: re.Pattern[str]) -> str:
    """Return the version that a file states; ValueError where it does not state exactly one."""
    [stated] = place.findall(path.read_text())
    return str(stated)


def write() -> None:
    """Write the version into every copy."""
    for path, place in COPIES:
        path.write_text(place.sub(version(), path.read_text()))


if __name__ == "__main__":
    write()

"""The folders and files of `make peers`."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "requirements" / "peers.txt"
WORK: Final = ROOT / ".venv" / "peers"
PYTHON: Final = WORK / "environment" / "bin" / "python"
SDISTS: Final = WORK / "sdists"
SOURCES: Final = WORK / "sources"
RESULTS: Final = WORK / "results"

PLUGINS: Final = ROOT / "peers" / "plugins"
INSTRUMENTED: Final = ROOT / "peers" / "instrumented"
INSTRUMENTATION: Final = ROOT / "instrumentation" / "src"

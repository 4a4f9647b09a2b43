"""Reads YAML as those programs do that load our files."""

from pathlib import Path
from typing import Any

import yaml


def read_yaml(path: Path) -> Any:
    """Return what a file of one document holds."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))

"""A Prometheus with an OTLP receiver, which Debian's has not: `make otlp-backend` builds one."""

import os
import shutil
from pathlib import Path

import pytest

BUILT = Path(__file__).parents[2] / ".venv" / "otlp-backend" / "prometheus"


def otlp_prometheus() -> str:
    """Return the program; skips where there is none: building it takes minutes."""
    named = os.environ.get("POOLSCOPE_OTLP_PROMETHEUS")
    found = shutil.which(named or str(BUILT))
    if found is None:
        pytest.skip("no Prometheus with an OTLP receiver: make otlp-backend (about 10 minutes)")
    return found

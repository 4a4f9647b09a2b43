"""A Prometheus with an OTLP receiver, which Debian's has not: `make otlp-backend` builds one."""

import os
import shutil
from pathlib import Path

import pytest

BUILT = Path(__file__).parents[3] / ".venv" / "otlp-backend" / "prometheus"
OTLP_PROMETHEUS = shutil.which(os.environ.get("POOLSCOPE_OTLP_PROMETHEUS") or str(BUILT))
"""The program that the variable names, or `make otlp-backend` made."""

needs_otlp_prometheus = pytest.mark.skipif(
    OTLP_PROMETHEUS is None,
    reason="no Prometheus with an OTLP receiver: make otlp-backend builds one,"
    " POOLSCOPE_OTLP_PROMETHEUS names one",
)

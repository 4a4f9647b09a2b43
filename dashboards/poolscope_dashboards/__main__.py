"""Write the dashboards, and the exclusions of their linter: `make rules`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.model import Sources
from poolscope_alerts.tuning import WrongTuningError
from poolscope_dashboards.exporter.board import exporter
from poolscope_dashboards.fleet.board import fleet
from poolscope_dashboards.kit.board import Board, file_text
from poolscope_dashboards.lint_exclusions import lint_text
from poolscope_dashboards.overview.board import overview
from poolscope_dashboards.pool.board import pool
from poolscope_dashboards.server.board import server
from poolscope_dashboards.slo.board import slo
from poolscope_exporter.core.checks.thresholds import WrongThresholdsError

FOLDER = Path(__file__).resolve().parent.parent


def boards(sources: Sources) -> tuple[Board, ...]:
    """Return all dashboards."""
    return tuple(make(sources) for make in (overview, fleet, pool, server, slo, exporter))


def files(sources: Sources) -> Mapping[str, str]:
    """Return the text of each file, by its name."""
    made = boards(sources)
    return {f"{board.uid}.json": file_text(board) for board in made} | {".lint": lint_text(made)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; return 1 where a source is wrong."""
    parser = argparse.ArgumentParser(prog="poolscope_dashboards", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the files go")
    options = parser.parse_args(arguments)
    try:
        for name, text in files(load_sources()).items():
            (options.out / name).write_text(text, encoding="utf-8")
    except (WrongThresholdsError, WrongTuningError, ValueError, OSError) as exc:
        print(f"make rules: {exc}", file=sys.stderr)  # noqa: T201 - a command's own words
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

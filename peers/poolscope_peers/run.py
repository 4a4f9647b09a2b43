"""Run and compare the chosen suites; the exit code is 1 if a test fails only with poolscope."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from poolscope_peers.folders import RESULTS
from poolscope_peers.report import detail_lines, report_lines
from poolscope_peers.sources import unpack_sdist
from poolscope_peers.suite_comparison import Comparison, compare_suite
from poolscope_peers.suites import PSYCOPG, SUITES, Suite, UnknownSuiteError, chosen


def main(arguments: Sequence[str]) -> int:
    """Return 0 if poolscope changed nothing, else 1."""
    options = _parser().parse_args(arguments)
    suites = (*SUITES, PSYCOPG) if options.psycopg else SUITES
    try:
        wanted = chosen(options.suites.split(), suites)
    except UnknownSuiteError as error:
        sys.exit(str(error))
    RESULTS.mkdir(parents=True, exist_ok=True)
    comparisons = [_compare(suite, options.psycopg) for suite in wanted]
    _print(*report_lines(comparisons))
    return 1 if any(each.problems for each in comparisons) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", default="", help="names separated by spaces (default: all)")
    parser.add_argument("--psycopg", type=_folder, help="source folder of psycopg, with its tests")
    return parser


def _folder(text: str) -> Path | None:
    if text and not (Path(text) / "tests" / "pool").is_dir():
        raise argparse.ArgumentTypeError(f"{text} has no folder tests/pool")
    return Path(text).resolve() if text else None


def _compare(suite: Suite, psycopg: Path | None) -> Comparison:
    folder = psycopg if suite is PSYCOPG and psycopg else unpack_sdist(suite)
    _print(f"{suite.name}: running bare and instrumented …")
    comparison = compare_suite(suite, folder)
    _print(*detail_lines(comparison))
    return comparison


def _print(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run the tests of the rows, one row after another, and write docs/compatibility.md.

The exit code is 1 if a test failed, or if a counterpart could not be got: but not for a row that is
not promised.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from poolscope_generators.matrix.debian import NotObtainableError
from poolscope_generators.matrix.document import DOCUMENT, Line, update
from poolscope_generators.matrix.environments import FOLDER, ROOT, Environment
from poolscope_generators.matrix.results import Result, read_result
from poolscope_generators.matrix.rows import ROWS, Row, UnknownRowError, chosen
from poolscope_generators.matrix.selections import Scope

PASSED, FAILED = 0, 1
"""The exit codes of pytest after it ran all tests to the end."""

RAN_TO_THE_END = {PASSED, FAILED}


def main(arguments: Sequence[str]) -> int:
    """Run the rows that the arguments name; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        rows = chosen(options.rows.split())
    except UnknownRowError as error:
        sys.exit(str(error))
    if options.scope is Scope.SHORT:
        rows = tuple(row for row in rows if row.is_an_end) or sys.exit("no short run of these rows")
    FOLDER.mkdir(parents=True, exist_ok=True)
    bad = [row.name for row in rows if not _is_good(row, options)]
    if bad:
        _print(f"not good: {', '.join(bad)}")
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="names separated by spaces (default: all)")
    parser.add_argument(
        "--scope", type=Scope, default=Scope.WHOLE,
        help="whole, selected, or short, which writes nothing (default: whole)",
    )  # fmt: skip
    parser.add_argument("--workers", default="2", help="processes of pytest (default: 2)")
    return parser


def _is_good(row: Row, options: argparse.Namespace) -> bool:
    """Run a row, and write its line at once: the rows after it may take an hour."""
    try:
        environment = row.environment()
    except NotObtainableError as error:
        line = Line("none", "none", f"not run: {error}")
        is_good = row.may_lack or not row.is_promised
    else:
        result = _test(row, environment, row.tests(options.scope), options.workers)
        if result is None:
            return False
        line = Line(environment.version, options.scope.value, result.text())
        is_good = result.is_good or not row.is_promised
    _print(f"{row.name} {line.version}: {line.result}")
    if options.scope is not Scope.SHORT:
        DOCUMENT.write_text(update(DOCUMENT.read_text(), ROWS, {row.name: line}))
    return is_good


def _test(row: Row, environment: Environment, tests: Sequence[str], workers: str) -> Result | None:
    """Return the result of the tests; None if pytest did not run them to the end."""
    report = FOLDER / f"{row.name}.xml"
    command = [str(environment.python), "-m", "pytest", "-q", "-n", workers, f"--junitxml={report}"]
    done = subprocess.run(
        [*command, *tests], cwd=ROOT, env={**os.environ, **environment.variables}, check=False
    )
    if done.returncode in RAN_TO_THE_END:
        return read_result(report)
    _print(f"{row.name}: pytest ended with {done.returncode}; the table keeps its line")
    return None


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

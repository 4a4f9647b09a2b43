"""Measure the exporter under a large fleet, its polls of a large server and its pages; print it."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import exporter_scale, page_cost, session_queries

BEGIN, END = "<!-- begin of what `make bench-exporter` has measured -->", "<!-- end of it -->"


def main() -> None:
    options = _options()
    text = ""
    for line in _lines(options):
        text += f"{line}\n"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if options.write is not None:
        before, _, rest = options.write.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        options.write.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--pools", type=int, default=1, choices=(1, 2), help="of each process")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each phase")
    parser.add_argument(
        "--later", type=float, default=0.0, help="seconds until memory is read once more (660)"
    )
    parser.add_argument(
        "--only", choices=("fleet", "server", "pages"), help="leave out the other parts"
    )
    parser.add_argument(
        "--push-interval", type=float, default=5.0, help="of the fleet whose pages are measured"
    )
    parser.add_argument("--write", type=Path, help="a document to put the tables into")
    options = parser.parse_args()
    if options.only and options.write:
        parser.error(
            "--write replaces the tables of all parts: leave --only out, or copy its table"
        )
    return options


def _lines(options: argparse.Namespace) -> Iterator[str]:
    yield f"Python {platform.python_version()}, PostgreSQL 18; {os.cpu_count()} processors."
    if options.only in (None, "fleet"):
        found = exporter_scale.measure(
            options.processes, options.pools, options.seconds, options.later
        )
        yield ""
        yield from exporter_scale.table(found)
    if options.only in (None, "server"):
        yield ""
        yield from session_queries.table(session_queries.measure())
    if options.only in (None, "pages"):
        yield ""
        yield from page_cost.page_table(
            page_cost.measure_pages(options.seconds, options.push_interval)
        )


if __name__ == "__main__":
    main()

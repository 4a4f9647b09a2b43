"""Watch the pools of a running exporter in a terminal, or print them once."""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from poolscope_exporter import clock
from poolscope_exporter.commands.audit import Question, add_query_arguments
from poolscope_exporter.commands.top_source import ExporterSource
from poolscope_exporter.terminal.plain_table import table_lines
from poolscope_exporter.terminal.pool_lines import PoolChoice, PoolColumn, pool_cells
from poolscope_exporter.terminal.source import ReadFailure
from poolscope_exporter.terminal.states import PoolsReading
from poolscope_exporter.terminal.watch import PoolWatch

FLAGS: Final = ("--interval", "--verdict")
"""The flags with a value that only this command has."""

INTERVAL_S: Final = 2.0
EXTRA: Final = "pip install 'poolscope-exporter[top]'"


@dataclass(frozen=True, slots=True)
class TopOptions:
    """The pools to show, and the seconds between two readings; None is no condition."""

    service: str | None = None
    pool: str | None = None
    verdict: str | None = None
    interval_s: float = INTERVAL_S

    @property
    def conditions(self) -> Mapping[str, str]:
        """Return the conditions of each query."""
        given = {"service": self.service, "pool": self.pool}
        return {name: value for name, value in given.items() if value is not None}


def options_of(namespace: argparse.Namespace, interval_s: float | None) -> TopOptions:
    """Return the options of the command line."""
    interval_s = INTERVAL_S if interval_s is None else interval_s
    return TopOptions(namespace.service, namespace.pool, namespace.verdict, interval_s)


def print_once(question: Question, options: TopOptions, *, as_json: bool) -> Iterator[str]:
    """Yield the lines of one reading; raise NoAnswerError if there is none."""
    source = ExporterSource(question, options.conditions)
    try:
        if as_json:
            merged = source.merged_answers(options.verdict)
            if isinstance(merged, ReadFailure):
                raise NoAnswerError(merged.reason)
            yield json.dumps(merged)
        else:
            yield from text_lines(_first_reading(source), question.url, options)
    finally:
        source.close()


def text_lines(reading: PoolsReading, url: str, options: TopOptions) -> Iterator[str]:
    """Yield the numbers of all pools, and the table of the pools as plain text.

    One reading has no last minute, so that column is left out.
    """
    watch = a_watch(url, options)
    watch.accept_answer(reading, clock.monotonic(), clock.wall_s())
    yield watch.status_line()
    lines = watch.shown_lines()
    if not lines:
        yield watch.note_line()
        return
    columns = [each for each in PoolColumn if each is not PoolColumn.TREND]
    rows = [[cells[column] for column in columns] for cells in map(pool_cells, lines)]
    yield from table_lines(columns, rows)


def watch_pools(question: Question, options: TopOptions) -> None:
    """Show the live views until the user leaves them.

    Raise NoAnswerError if the exporter refuses the first reading, and ModuleNotFoundError without
    Textual. An exporter that does not answer is tried again.
    """
    from poolscope_exporter.terminal.live.top_app import TopApp  # noqa: PLC0415 - optional extra

    source = ExporterSource(question, options.conditions)
    try:
        watch = a_watch(question.url, options)
        answer = source.pools_now()
        if isinstance(answer, ReadFailure) and answer.is_refusal:
            raise NoAnswerError(answer.reason)
        watch.accept_answer(answer, clock.monotonic(), clock.wall_s())
        TopApp(watch, source).run()
    finally:
        source.close()


def a_watch(url: str, options: TopOptions) -> PoolWatch:
    """Return a watch without any answer yet."""
    return PoolWatch(url, options.interval_s, PoolChoice(verdict=options.verdict))


class NoAnswerError(Exception):
    """The exporter gives no answer; the message has the cure."""


def add_top_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_query_arguments(parser)
    parser.add_argument("--service", metavar="NAME", help="service to show (default: all)")
    parser.add_argument("--pool", metavar="NAME", help="pool to show (default: all)")
    parser.add_argument(
        "--verdict",
        metavar="NAME",
        help="diagnosis of the pools to show, or verdict of one of their checkouts (default: all)",
    )
    parser.add_argument(
        "--interval",
        dest="interval_s",
        metavar="SECONDS",
        help=f"seconds between two readings (default: {INTERVAL_S:g})",
    )
    parser.add_argument("--once", action="store_true", help="output as plain text, once")
    parser.add_argument(
        "--json", action="store_true", help="output of the API's answers as one JSON object, once"
    )


def _first_reading(source: ExporterSource) -> PoolsReading:
    reading = source.pools_now()
    if isinstance(reading, ReadFailure):
        raise NoAnswerError(reading.reason)
    return reading

"""Whoever reads our output, or does not, holds up nothing."""

import os
from collections.abc import Iterator

import pytest

from poolscope_exporter.threads.line_writer import MAX_WAITING_BYTES, LineWriter

Pipe = tuple[int, int]
MANY = 64 * 1024 + 1
"""More than a pipe holds."""


@pytest.fixture(params=[True, False], ids=["blocking", "non-blocking"])
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    reading, writing = os.pipe()
    os.set_blocking(writing, request.param)
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def read(descriptor: int, count: int) -> bytes:
    found = b""
    while len(found) < count:
        found += os.read(descriptor, count - len(found))
    return found


def test_lines_are_written_in_their_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1])
    for n in range(100):
        writer.write(f"{n} é\n")
    writer.drain(60)
    expected = "".join(f"{n} é\n" for n in range(100)).encode()
    assert read(pipe[0], len(expected)) == expected
    assert writer.lost == 0


def test_a_reader_that_stops_costs_what_does_not_fit(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1])
    line = "x" * MANY
    for _ in range(MAX_WAITING_BYTES // MANY + 3):
        writer.write(line)
    assert writer.lost >= 2
    writer.drain(0.0)
    kept = MAX_WAITING_BYTES // MANY
    assert len(read(pipe[0], kept * MANY)) == kept * MANY


def test_a_reader_that_went_loses_what_is_written(pipe: Pipe) -> None:
    os.close(pipe[0])
    writer = LineWriter(pipe[1])
    writer.write("gone\n")
    writer.drain(60)
    assert writer.lost == 1


def test_a_descriptor_that_is_none_loses_what_is_written() -> None:
    writer = LineWriter(987)
    writer.write("nowhere\n")
    writer.drain(60)
    assert writer.lost == 1

"""Write exemplars into the lines of a histogram; only OpenMetrics has them."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.utils import floatToGoString

from poolscope_exporter.core.model.exemplars import Exemplar
from poolscope_exporter.core.model.pushes import HistogramValue

_NANO = 1e9


class Insertion(NamedTuple):
    """A text for one position in the lines of a family."""

    offset: int
    text: bytes


def insertions_of(lines: bytes, value: HistogramValue, begins_at: int) -> Iterator[Insertion]:
    """Yield the exemplars of a histogram, one bucket a line; its lines begin at `begins_at`."""
    by_bucket = {bisect_left(value.bounds, each.value): each for each in value.exemplars}
    end = -1
    for bucket in range(len(value.counts)):
        end = lines.index(b"\n", end + 1)
        if bucket in by_bucket:
            yield Insertion(begins_at + end, _text(by_bucket[bucket]))


def spliced(lines: bytes, insertions: Iterable[Insertion]) -> bytes:
    """Return the lines with the insertions, which are in the order of their positions."""
    parts, done = [], 0
    for offset, text in insertions:
        parts += [lines[done:offset], text]
        done = offset
    return b"".join((*parts, lines[done:]))


def _text(exemplar: Exemplar) -> bytes:
    labels = f'span_id="{exemplar.span_id.hex()}",trace_id="{exemplar.trace_id.hex()}"'
    value: str = floatToGoString(exemplar.value)  # type: ignore[no-untyped-call]
    time = f" {exemplar.time_ns / _NANO:.3f}" if exemplar.time_ns else ""
    return f" # {{{labels}}} {value}{time}".encode()

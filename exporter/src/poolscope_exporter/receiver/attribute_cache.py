"""Cache the attributes of data points: a process sends the same ones in every push."""

from collections.abc import Collection
from functools import lru_cache

from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint

from poolscope_exporter.core.model.pushes import Attributes
from poolscope_exporter.receiver.attributes import as_text, read_attributes

CACHED = 8_192
CACHED_BYTES = 2_048
"""Longer encodings are decoded each time, so that the cache stays small."""

# Protobuf's tags of the fields before the attributes, which differ from push to push.
_FIXED64_OF_NUMBER = frozenset((0x11, 0x19, 0x21, 0x31))  # start, time, as_double, as_int
_FIXED64_OF_HISTOGRAM = frozenset((0x11, 0x19, 0x21, 0x29))  # start, time, count, sum
_PACKED_OF_HISTOGRAM = frozenset((0x32, 0x3A))  # bucket_counts, explicit_bounds
_FIXED64_BYTES = 9  # with the tag


def attributes_of_number(point: NumberDataPoint) -> Attributes:
    """Return the attributes of a gauge's or a counter's point."""
    rest = _rest(point.SerializeToString(), _FIXED64_OF_NUMBER, ())
    return _number(rest) if len(rest) <= CACHED_BYTES else _read(point)


def attributes_of_histogram(point: HistogramDataPoint) -> Attributes:
    """Return the attributes of a histogram's point."""
    rest = _rest(point.SerializeToString(), _FIXED64_OF_HISTOGRAM, _PACKED_OF_HISTOGRAM)
    return _histogram(rest) if len(rest) <= CACHED_BYTES else _read(point)


@lru_cache(CACHED)
def _number(rest: bytes) -> Attributes:
    return _read(NumberDataPoint.FromString(rest))


@lru_cache(CACHED)
def _histogram(rest: bytes) -> Attributes:
    return _read(HistogramDataPoint.FromString(rest))


def _read(point: NumberDataPoint | HistogramDataPoint) -> Attributes:
    found = read_attributes(point.attributes).items()
    return Attributes({name: as_text(value) for name, value in found})


def _rest(encoded: bytes, fixed64: Collection[int], packed: Collection[int]) -> bytes:
    """Return an encoded message without its leading fields, if their tags are among the given ones.

    A message with another order of fields only misses the cache.
    """
    at, end = 0, len(encoded)
    while at < end:
        tag = encoded[at]
        if tag in fixed64:
            at += _FIXED64_BYTES
        elif tag in packed:
            at = _skip(encoded, at + 1)
        else:
            break
    return encoded[at:]


def _skip(encoded: bytes, at: int) -> int:
    """Return the end of a field; its encoded length begins at `at`."""
    length = shift = 0
    while True:
        byte = encoded[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return at + length

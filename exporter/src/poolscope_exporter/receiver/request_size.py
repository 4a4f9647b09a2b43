"""Measure an encoded request before it is decoded: two bytes may be a hundred in memory.

Sixteen MiB of empty data points fit every limit on bytes, and would take more than a gigabyte, or
half a minute, to decode.
"""

from collections.abc import Iterator, Mapping
from typing import Final

MAX_MESSAGES: Final = 500_000
"""Protobuf messages of one request: some thirty thousand data points with eight attributes."""

MAX_TOKENS: Final = 1_000_000
"""Objects, lists and commas of a JSON request: as many data points, and two seconds of work."""

_LENGTH_DELIMITED, _FIXED64, _FIXED32, _VARINT = 2, 1, 5, 0
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT = 10

# Which fields of a message are messages; of `None` we count what they could hold at most.
_Tree = Mapping[int, "_Tree | None"]
_VALUE: _Tree = {5: None, 6: None}
_PAIR: _Tree = {2: _VALUE}
_SCOPE: _Tree = {3: _PAIR}
_NUMBER: _Tree = {7: _PAIR, 5: None}
_HISTOGRAM: _Tree = {9: _PAIR, 8: None}
_EXPONENTIAL: _Tree = {1: _PAIR, 8: {}, 9: {}, 11: None}
_SUMMARY: _Tree = {7: _PAIR, 6: {}}
_METRIC: _Tree = {
    5: {1: _NUMBER}, 7: {1: _NUMBER}, 9: {1: _HISTOGRAM}, 10: {1: _EXPONENTIAL},
    11: {1: _SUMMARY}, 12: _PAIR,
}  # fmt: skip
_RESOURCE_METRICS: _Tree = {1: {1: _PAIR, 3: None}, 2: {1: _SCOPE, 2: _METRIC}}
_REQUEST: _Tree = {1: _RESOURCE_METRICS}

_RECORD: Final = 2
"""The field of spans in their scope, of scopes in their resource, and of log records likewise."""


def has_too_many_json_tokens(body: bytes) -> bool:
    """Return whether a JSON body holds more than is decoded in one request."""
    return sum(body.count(token) for token in (b"{", b"[", b",")) > MAX_TOKENS


def messages_in(body: bytes, limit: int = MAX_MESSAGES) -> int:
    """Return about how many messages the body holds, counting no further than beyond the limit.

    Raises ValueError where it is not protobuf.
    """
    found = 0
    todo: list[tuple[int, int, _Tree]] = [(0, len(body), _REQUEST)]
    while todo and found <= limit:
        at, end, tree = todo.pop()
        while at < end and found <= limit:
            tag, at = _varint(body, at, end)
            kind = tag & 7
            if kind != _LENGTH_DELIMITED:
                at = _skipped(body, at, end, kind)
                continue
            length, at = _varint(body, at, end)
            if at + length > end:
                raise ValueError("a field ends beyond its message")
            if tag >> 3 in tree:
                inner = tree[tag >> 3]
                found += 1 if inner is not None else 1 + length // 2
                if inner:
                    todo.append((at, at + length, inner))
            at += length
    return found


def records_in(body: bytes, limit: int = MAX_MESSAGES) -> int:
    """Return the number of spans or log records in a request, counting no further than the limit.

    Raises ValueError where it is not protobuf.
    """
    records = seen = 0
    for resource in _messages(body, (0, len(body)), 1):
        for scope in _messages(body, resource, _RECORD):
            for _ in _messages(body, scope, _RECORD):
                records += 1
                if records > limit:
                    return records
            seen += 1
            if seen > limit:
                return seen
    return records


def _messages(body: bytes, within: tuple[int, int], field: int) -> Iterator[tuple[int, int]]:
    """Yield where the messages in a repeated field begin and end."""
    at, end = within
    while at < end:
        tag, at = _varint(body, at, end)
        if tag & 7 != _LENGTH_DELIMITED:
            at = _skipped(body, at, end, tag & 7)
            continue
        length, at = _varint(body, at, end)
        if at + length > end:
            raise ValueError("a field ends beyond its message")
        if tag >> 3 == field:
            yield at, at + length
        at += length


def _skipped(body: bytes, at: int, end: int, kind: int) -> int:
    if kind == _VARINT:
        return _varint(body, at, end)[1]
    # Groups, which our messages never had, could hide anything.
    if kind not in _FIXED or at + _FIXED[kind] > end:
        raise ValueError("a field of a kind that no message of ours has")
    return at + _FIXED[kind]


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number that begins here, and where it ends."""
    value = 0
    for shift in range(_MAX_VARINT):
        if at >= end:
            break
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if not byte & 0x80:
            return value, at
    raise ValueError("a number that does not end")

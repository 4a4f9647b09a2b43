"""Read OTLP attributes into typed, bounded values; senders may leave any of them out."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from poolscope.catalogue import POOL_IDENTITY
from poolscope_exporter.core.model.checkouts import MAX_PORT
from poolscope_exporter.core.model.endpoints import Endpoint

MAX_ATTRIBUTES = 64
MAX_TEXT_LENGTH = 256
"""Characters of a name or a value. Only this module cuts texts: a name that was cut to two lengths
would become two names."""

MAX_REPORT_LENGTH = 4096
"""Characters of a report of several lines; the app cuts it to fewer."""

MAX_ARRAY_LENGTH = 10_000

_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
_DIRECTIONS: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_DECEIVING: Final = dict.fromkeys((*_CONTROLS, *_DIRECTIONS))

Value = str | bool | int | float | tuple[int, ...]
Attributes = Mapping[str, Value]


def read_attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    """Return the scalar and int-array attributes, at most MAX_ATTRIBUTES; drop all others.

    Texts are cut to MAX_TEXT_LENGTH characters. Control characters and characters that change the
    direction of writing are removed, because they could deceive a reader.
    """
    found: dict[str, Value] = {}
    for pair in pairs:
        if len(found) >= MAX_ATTRIBUTES:
            break
        value = _value(pair.value)
        name = _printable(pair.key[:MAX_TEXT_LENGTH])
        if value is not None and name:
            found[name] = value
    return found


def report_text(pairs: Iterable[KeyValue], name: str) -> str | None:
    """Return a text of several lines, cut to MAX_REPORT_LENGTH; None if it is absent or blank.

    Each line is printable, as every other text is.
    """
    found = (each.value for each in pairs if each.key == name)
    value = next((each for each in found if each.WhichOneof("value") == "string_value"), None)
    if value is None:
        return None
    lines = value.string_value[:MAX_REPORT_LENGTH].splitlines()
    report = "\n".join(map(_printable, lines)).strip("\n")
    return report if report.strip() else None


def as_text(value: Value) -> str:
    """Return a value as a label's text: booleans as `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def text(attributes: Attributes, name: str) -> str | None:
    """Return a text attribute, or None if it is absent, empty or of another type."""
    value = attributes.get(name)
    return value if isinstance(value, str) and value else None


def integer(attributes: Attributes, name: str) -> int | None:
    """Return an int attribute, or None if it is absent or of another type."""
    value = attributes.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def seconds(attributes: Attributes, name: str) -> float | None:
    """Return a number attribute, or None if it is absent, negative, infinite or not a number."""
    value = attributes.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < float("inf") else None  # type: ignore[operator,arg-type]


def endpoint(attributes: Attributes, address: str, port: str) -> Endpoint | None:
    """Return one end of a TCP connection, or None if its address or its port is missing."""
    host, number = text(attributes, address), integer(attributes, port)
    if host is None or number is None or not 0 < number <= MAX_PORT:
        return None
    return Endpoint(host, number)


def identity_texts(attributes: Attributes) -> dict[str, str]:
    """Return the attributes that identify a pool, as the texts that its series have."""
    return {name: as_text(attributes[name]) for name in POOL_IDENTITY if name in attributes}


def _value(value: AnyValue) -> Value | None:
    match value.WhichOneof("value"):
        case "string_value":
            return _printable(value.string_value[:MAX_TEXT_LENGTH])
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "array_value":
            return _integers(value)
    return None


def _printable(text: str) -> str:
    """Return the text without characters that move a cursor or change the direction of writing."""
    return text if text.isprintable() else text.translate(_DECEIVING)


def _integers(value: AnyValue) -> tuple[int, ...] | None:
    items = value.array_value.values[:MAX_ARRAY_LENGTH]
    if any(item.WhichOneof("value") != "int_value" for item in items):
        return None
    return tuple(item.int_value for item in items)


def number_of(point: NumberDataPoint) -> float | None:
    """Return the value of a point, or None if it has no value or the value is not finite."""
    match point.WhichOneof("value"):
        case "as_int":
            return float(point.as_int)
        case "as_double" if math.isfinite(point.as_double):
            return point.as_double
    return None

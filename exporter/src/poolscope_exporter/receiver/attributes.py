"""Read OTLP attributes: bounded, typed, and tolerant of what a sender leaves out."""

import math
from collections.abc import Iterable, Mapping

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from poolscope.catalogue import POOL_IDENTITY
from poolscope_exporter.core.model.checkouts import MAX_PORT
from poolscope_exporter.core.model.endpoints import Endpoint

MAX_ATTRIBUTES = 64
MAX_TEXT_LENGTH = 256
"""Characters of a name or a value. Nothing cuts texts but this module: whatever was cut twice, to
two lengths, would be two things."""

MAX_ARRAY_LENGTH = 10_000

Value = str | bool | int | float | tuple[int, ...]
Attributes = Mapping[str, Value]


def read_attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    """Return the scalar and int-array attributes; others, and those beyond the cap, are left out.

    Texts are cut to MAX_TEXT_LENGTH characters.
    """
    found: dict[str, Value] = {}
    for pair in pairs:
        if len(found) >= MAX_ATTRIBUTES:
            break
        value = _value(pair.value)
        if value is not None and pair.key:
            found[pair.key[:MAX_TEXT_LENGTH]] = value
    return found


def as_text(value: Value) -> str:
    """Return a value as a label's text: booleans as `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def text(attributes: Attributes, name: str) -> str | None:
    """Return a text attribute; None where it is absent, empty or of another type."""
    value = attributes.get(name)
    return value if isinstance(value, str) and value else None


def integer(attributes: Attributes, name: str) -> int | None:
    """Return an int attribute; None where it is absent or of another type."""
    value = attributes.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def seconds(attributes: Attributes, name: str) -> float | None:
    """Return a number attribute; None where it is absent, negative or of another type."""
    value = attributes.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < float("inf") else None  # type: ignore[operator,arg-type]


def endpoint(attributes: Attributes, address: str, port: str) -> Endpoint | None:
    """Return one end of a TCP connection, where both of its attributes are there."""
    host, number = text(attributes, address), integer(attributes, port)
    if host is None or number is None or not 0 < number <= MAX_PORT:
        return None
    return Endpoint(host, number)


def identity_texts(attributes: Attributes) -> dict[str, str]:
    """Return the attributes that name a pool, as the texts that they are in the pool's series."""
    return {name: as_text(attributes[name]) for name in POOL_IDENTITY if name in attributes}


def _value(value: AnyValue) -> Value | None:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value[:MAX_TEXT_LENGTH]
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "array_value":
            return _integers(value)
    return None


def _integers(value: AnyValue) -> tuple[int, ...] | None:
    items = value.array_value.values[:MAX_ARRAY_LENGTH]
    if any(item.WhichOneof("value") != "int_value" for item in items):
        return None
    return tuple(item.int_value for item in items)


def number_of(point: NumberDataPoint) -> float | None:
    """Return the value of a point; None where it has none, or is not finite."""
    match point.WhichOneof("value"):
        case "as_int":
            return float(point.as_int)
        case "as_double" if math.isfinite(point.as_double):
            return point.as_double
    return None

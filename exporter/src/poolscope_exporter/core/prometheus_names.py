"""Translate OpenTelemetry names into Prometheus's, by the rules that the whole field follows.

The rules are those of the OpenTelemetry specification ("Prometheus and OpenMetrics
Compatibility") as Prometheus's own OTLP receiver and the Collector apply them, with suffixes.
"""

import re

from poolscope.catalogue import Kind

_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds",
    "us": "microseconds", "ns": "nanoseconds",
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes",
    "Cel": "celsius", "Hz": "hertz", "m": "meters", "V": "volts", "A": "amperes", "J": "joules",
    "W": "watts", "g": "grams", "1": "", "%": "percent",
}  # fmt: skip
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month",
        "y": "year"}  # fmt: skip
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(name: str, kind: Kind, unit: str) -> str:
    """Return the Prometheus name; a histogram's is that of its family, without `_bucket`."""
    tokens = _tokens(name)
    for suffix in _unit_suffixes(unit):
        if suffix and suffix not in tokens:
            tokens.append(suffix)
    if kind is Kind.COUNTER:
        tokens = _ending_in("total", tokens)
    if unit == "1" and kind in (Kind.GAUGE, Kind.UP_DOWN_COUNTER):
        tokens = _ending_in("ratio", tokens)
    joined = "_".join(tokens)
    return f"_{joined}" if joined[:1].isdigit() else joined


def label_name(attribute: str) -> str:
    """Return the Prometheus label of an attribute."""
    label = _NOT_IN_LABELS.sub("_", attribute)
    if label[:1].isdigit():
        return f"key_{label}"
    is_private = label.startswith("_") and not label.startswith("__")
    return f"key{label}" if is_private else label


def _ending_in(word: str, tokens: list[str]) -> list[str]:
    return [*(other for other in tokens if other != word), word]


def _tokens(text: str) -> list[str]:
    return [token for token in _NOT_IN_NAMES.split(text) if token]


def _unit_suffixes(unit: str) -> tuple[str, str]:
    main, _, per = (part.strip() for part in unit.partition("/"))
    per = _spelled(per, _PER)
    return _spelled(main, _UNITS), f"per_{per}" if per else ""


def _spelled(unit: str, words: dict[str, str]) -> str:
    # Braces hold an annotation: `{connection}` says what is counted, and is no unit.
    if "{" in unit or "}" in unit:
        return ""
    return "_".join(_tokens(words.get(unit, unit)))

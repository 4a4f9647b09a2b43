"""Collect samples into metric families, so that no series appears twice."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from poolscope_exporter.core.model.pushes import HistogramValue, add_values
from poolscope_exporter.metrics.text_format import LabelText, SeriesText

RESERVED = frozenset(("le", "quantile"))
"""Labels that Prometheus gives a meaning of its own."""


class FamilyType(Enum):
    """The Prometheus types that we expose."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class FamilyText:
    """One family: what it is, and the lines of its samples, the same in either format."""

    name: str
    type: FamilyType
    help: str
    samples: bytes

    def as_text(self) -> bytes:
        """Return the family in Prometheus's text format."""
        suffix = "_total" if self.type is FamilyType.COUNTER else ""
        return self._header(self.name + suffix) + self.samples

    def as_openmetrics(self) -> bytes:
        """Return the family in the OpenMetrics format."""
        is_timed = self.name.endswith("_seconds")
        unit = f"# UNIT {self.name} seconds\n" if is_timed else ""
        return self._header(self.name) + unit.encode() + self.samples

    def _header(self, name: str) -> bytes:
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.type.value}\n".encode()


@dataclass(slots=True)
class _Family:
    type: FamilyType
    help: str
    values: dict[LabelText, float | HistogramValue] = field(default_factory=dict)


class Families:
    """Families in the order of their first sample; samples with equal labels are summed."""

    def __init__(self, text: SeriesText) -> None:
        self._text = text
        self._families: dict[str, _Family] = {}

    def labels_of(self, names: tuple[str, ...], values: tuple[str, ...]) -> LabelText:
        """Return labels, as many names as values, in the form that `add` takes."""
        return self._text.label_text(names, values)

    def add_sample(
        self,
        name: str,
        kind: FamilyType,
        text: str,
        labels: LabelText,
        value: float | HistogramValue,
    ) -> None:
        """Add a sample; one whose type contradicts its family's is left out.

        Two senders may disagree on what a metric is, and one exposition can hold only one of them.
        """
        base = name.removesuffix("_total") if kind is FamilyType.COUNTER else name
        family = self._families.get(base)
        if family is None:
            family = self._families[base] = _Family(kind, text)
        elif family.type is not kind:
            return
        known = family.values.get(labels)
        family.values[labels] = value if known is None else add_values(known, value)

    def family_texts(self) -> Iterator[FamilyText]:
        """Yield the text of each family, and forget the family: a large fleet's take much room."""
        for name in list(self._families):
            family = self._families.pop(name)
            sample = f"{name}_total" if family.type is FamilyType.COUNTER else name
            lines = "".join(self._text.sample_lines(sample, family.values.items())).encode()
            yield FamilyText(name, family.type, family.help, lines)

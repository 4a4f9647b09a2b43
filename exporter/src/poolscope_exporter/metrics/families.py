"""Collect samples into metric families, so that no series appears twice."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from poolscope_exporter.core.model.pushes import HistogramValue, add_values
from poolscope_exporter.metrics.text_format import LabelText, SeriesText

RESERVED = frozenset(("le", "quantile"))
"""Labels with a special meaning in Prometheus."""


class FamilyType(Enum):
    """The Prometheus types that the exporter exposes."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class FamilyText:
    """One family: its header, and the lines of its samples, which are the same in either format."""

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
        """Add a sample; one with a type other than its family's is left out.

        One exposition can contain only one type of a family. The receiver refuses the points of a
        second type, see `family_kinds.py`.
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
        """Yield the text of each family, and drop the family to save memory in a large fleet."""
        for name in list(self._families):
            family = self._families.pop(name)
            sample = f"{name}_total" if family.type is FamilyType.COUNTER else name
            lines = "".join(self._text.sample_lines(sample, family.values.items())).encode()
            yield FamilyText(name, family.type, family.help, lines)

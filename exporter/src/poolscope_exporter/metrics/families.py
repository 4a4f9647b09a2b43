"""Collect samples into metric families, so that no series appears twice."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from poolscope_exporter.core.model.pushes import HistogramValue, add_values
from poolscope_exporter.metrics.exemplar_text import Insertion, insertions_of, spliced
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
    """One family: its header, the lines of its samples, and the exemplars for OpenMetrics."""

    name: str
    type: FamilyType
    help: str
    samples: bytes
    exemplars: tuple[Insertion, ...] = ()

    def as_text(self) -> bytes:
        """Return the family in Prometheus's text format."""
        suffix = "_total" if self.type is FamilyType.COUNTER else ""
        return self._header(self.name + suffix) + self.samples

    def as_openmetrics(self) -> bytes:
        """Return the family in the OpenMetrics format."""
        is_timed = self.name.endswith("_seconds")
        unit = f"# UNIT {self.name} seconds\n" if is_timed else ""
        samples = spliced(self.samples, self.exemplars) if self.exemplars else self.samples
        return self._header(self.name) + unit.encode() + samples

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
            texts = self._text.sample_lines(sample, family.values.items())
            if any(_has_exemplars(value) for value in family.values.values()):
                lines, exemplars = _with_exemplars(texts, family.values.values())
            else:
                lines, exemplars = "".join(texts).encode(), ()
            yield FamilyText(name, family.type, family.help, lines, exemplars)


def _has_exemplars(value: float | HistogramValue) -> bool:
    return isinstance(value, HistogramValue) and bool(value.exemplars)


def _with_exemplars(
    texts: Iterable[str], values: Iterable[float | HistogramValue]
) -> tuple[bytes, tuple[Insertion, ...]]:
    """Return the lines of all series of a family, and the positions of their exemplars."""
    parts, insertions, size = [], list[Insertion](), 0
    for text, value in zip(texts, values, strict=True):
        part = text.encode()
        if isinstance(value, HistogramValue) and value.exemplars:
            insertions += insertions_of(part, value, size)
        parts.append(part)
        size += len(part)
    return b"".join(parts), tuple(insertions)

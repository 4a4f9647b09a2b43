"""The series of the exporter's process, with the names of the official client."""

from collections.abc import Iterable

from prometheus_client import Metric

from poolscope_exporter.metrics.families import Families, FamilyType


def add_process(families: Families, process: Iterable[Metric]) -> None:
    """Add memory, CPU time, descriptors and the start time of this process."""
    no_labels = families.labels_of((), ())
    for family in process:
        for sample in family.samples:
            kind = FamilyType(family.type)
            families.add_sample(sample.name, kind, family.documentation, no_labels, sample.value)

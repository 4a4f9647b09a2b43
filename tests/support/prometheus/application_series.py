"""Tell what applications report from what the exporter measures itself."""

from poolscope import catalogue as wire
from poolscope_exporter.core.own_metrics import OWN_METRICS
from poolscope_exporter.core.prometheus_names import metric_name

OF_EXPORTER = frozenset(
    {metric.name for metric in OWN_METRICS}
    | {metric_name(m.name, m.kind, m.unit) for m in wire.METRICS if m.scope == wire.PUSH_SCOPE}
)
"""Names that only an exporter's `/metrics` may have."""

_APPLICATIONS = tuple(metric_name(m.name, m.kind, m.unit) for m in wire.METRICS)


def is_of_applications(sample: str) -> bool:
    """Return whether applications report samples of this name; a histogram's have a suffix."""
    return sample.startswith(_APPLICATIONS) and sample not in OF_EXPORTER

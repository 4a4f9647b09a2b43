"""Find other instrumentations that also publish pool metrics: the user would see them twice."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opentelemetry.metrics import MeterProvider

from poolscope import catalogue

FORMER_PREFIX = "db.client.connections."
"""The earlier prefix of the same metrics in the semantic conventions, which some libraries use."""

_SHARED = frozenset(m.name for m in catalogue.METRICS if not m.name.startswith("poolscope."))


@dataclass(frozen=True, slots=True)
class DuplicateMetric:
    """Another instrumentation, by its OpenTelemetry scope, and a metric that poolscope has too."""

    scope: str
    metric: str


def find_duplicate_metrics(provider: MeterProvider) -> list[DuplicateMetric]:
    """Return other scopes' instruments with a poolscope metric's name, or with its former name.

    Instruments that were created but never used are included. The result is empty if the provider
    is not OpenTelemetry's, and hides its instruments.
    """
    return duplicates_among(_instruments(provider))


def duplicates_among(instruments: Iterable[tuple[str, str]]) -> list[DuplicateMetric]:
    """Return the duplicates among (scope, instrument), each once, in order of their names."""
    found = {
        (scope, name)
        for scope, name in instruments
        if scope != catalogue.SCOPE and (name in _SHARED or name.startswith(FORMER_PREFIX))
    }
    return [DuplicateMetric(scope, name) for scope, name in sorted(found)]


def _instruments(provider: Any) -> list[tuple[str, str]]:
    """Read the private instrument list of OpenTelemetry's SDK; empty if it has another form."""
    try:
        return [
            (scope.name, identifier.partition(",")[0])
            for scope, meter in dict(provider._meters).items()  # noqa: SLF001 - the SDK has no public list
            for identifier in list(meter._instrument_ids)  # noqa: SLF001 - as above
        ]
    except Exception:  # noqa: BLE001 - a warning is not worth the loss of a push
        return []

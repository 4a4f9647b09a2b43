"""Say when today's alerts would have fired in the recording: Prometheus itself cannot look back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.grafana_rules import written_out
from poolscope_alerts.model import Alert, Record
from poolscope_alerts.prometheus_rules import groups
from poolscope_generators.incident.prometheus import Prometheus

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alert that fired, with its labels; times are Unix seconds.

    What an alert keeps firing for after its cause has gone is not in it.
    """

    alert: Alert
    labels: Labels
    start: float
    end: float

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{self.alert.name} [{self.start:.0f} to {self.end:.0f}] {said}"

    def overlaps(self, start: float, end: float) -> bool:
        """Tell whether it fired at some time between the two."""
        return self.start < end and self.end > start


def alarms(prometheus: Prometheus, start: float, end: float, step_s: float) -> list[Alarm]:
    """Evaluate each shipped alert at every step, with its `for`, without its recording rules."""
    found = []
    for alert, expression in expressions():
        for series in prometheus.over_time(expression, start, end, step_s):
            times = [float(at) for at, _ in series["values"]]
            found += list(_fired(alert, series["metric"], times, step_s))
    return found


def expressions() -> Iterator[tuple[Alert, str]]:
    """Yield each shipped alert with its expression, without its recording rules."""
    rules = [rule for group in groups(load_sources()) for rule in group.rules]
    recorded = {rule.name: rule.expression for rule in rules if isinstance(rule, Record)}
    for rule in rules:
        if isinstance(rule, Alert):
            yield rule, written_out(rule.expression, recorded)


def _fired(alert: Alert, labels: Labels, times: list[float], step_s: float) -> Iterator[Alarm]:
    """Yield each stretch without a gap that lasted as long as the alert wants."""
    first = 0
    for last, at in enumerate(times):
        if last + 1 < len(times) and times[last + 1] - at <= 1.5 * step_s:
            continue
        if at - times[first] >= alert.for_s:
            yield Alarm(alert, labels, times[first] + alert.for_s, at + step_s)
        first = last + 1

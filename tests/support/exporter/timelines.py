"""What the exporter and Prometheus reported of each service, and when, several times per second."""

import time
from collections import defaultdict

from support.exporter.exporter_process import ExporterProcess
from support.processes.lookout import Lookout
from support.prometheus.server import Prometheus


class Timeline:
    """What was seen at each change, with the time by the monotonic clock."""

    def __init__(self) -> None:
        self.changes: list[tuple[float, str]] = []

    def __str__(self) -> str:
        return "; ".join(f"{at_s:.1f} {value}" for at_s, value in self.changes)

    @property
    def now(self) -> str:
        return self.changes[-1][1] if self.changes else ""

    def note(self, value: str, at_s: float) -> None:
        if not self.changes or value != self.now:
            self.changes.append((at_s, value))

    def since(self, value: str, after_s: float) -> float:
        """Return the first time after `after_s` at which this was seen; never is infinite."""
        if value == self._at(after_s):
            return after_s
        times = (at_s for at_s, seen in self.changes if seen == value and at_s >= after_s)
        return next(times, float("inf"))

    def between(self, begin_s: float, end_s: float) -> set[str]:
        """Return everything that was seen from `begin_s` to `end_s`."""
        later = {value for at_s, value in self.changes if begin_s < at_s <= end_s}
        return later | {self._at(begin_s)}

    def _at(self, at_s: float) -> str:
        return next((seen for began_s, seen in reversed(self.changes) if began_s <= at_s), "")


class Timelines(Lookout):
    """Looks at both in a thread of its own.

    `diagnoses` are by service; `alerts` by service and alert, each the descriptions of those that
    fire, "" where none does.
    """

    def __init__(self, exporter: ExporterProcess, prometheus: Prometheus) -> None:
        super().__init__()
        self._exporter = exporter
        self._prometheus = prometheus
        self.diagnoses: defaultdict[str, Timeline] = defaultdict(Timeline)
        self.alerts: defaultdict[tuple[str, str], Timeline] = defaultdict(Timeline)

    def look(self) -> None:
        """Ask both once."""
        self._look_at_exporter()
        self._look_at_prometheus()

    def _look_at_exporter(self) -> None:
        pools = self._exporter.get("/api/v1/pools").json()["pools"]
        now_s = time.monotonic()
        for pool in pools:
            self.diagnoses[pool["service"]].note(pool["diagnosis"], now_s)

    def _look_at_prometheus(self) -> None:
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for labels, annotations in self._prometheus.firing_alerts():
            key = labels.get("service_name", ""), labels["alertname"]
            found[key].append(annotations["description"])
        now_s = time.monotonic()
        for key in (*found, *self.alerts):
            self.alerts[key].note(" ".join(sorted(found.get(key, []))), now_s)

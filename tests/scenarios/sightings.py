"""Look at the exporters all the time, and keep everything that they ever say of a behaviour."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from poolscope_generators.scenarios.scenario import Expected, Scenario, Watcher
from support.exporter.exporter_process import ExporterProcess
from support.processes.lookout import Lookout

Row = Mapping[str, Any]
Key = tuple[Watcher, str]


@dataclass(slots=True)
class Sighting:
    """What one exporter said of one behaviour's checkout, and of its pool since it was listed."""

    row: Row = field(default_factory=dict)
    diagnosis: str | None = None
    verdicts: Counter[str] = field(default_factory=Counter)
    links: Counter[str] = field(default_factory=Counter)
    diagnoses: Counter[str] = field(default_factory=Counter)

    def note(self, row: Row | None, diagnosis: str | None) -> None:
        self.diagnosis = diagnosis
        self.row = row or {}
        if row is not None:
            self.verdicts[row["verdict"]] += 1
            self.links[row["link"]] += 1
        if diagnosis is not None and self.verdicts:
            self.diagnoses[diagnosis] += 1

    def differs(self, expected: Expected) -> list[str]:
        """Return how what is said now differs from what is expected."""
        said = {"verdict": self.row.get("verdict"), "link": self.row.get("link")}
        said["diagnosis"] = self.diagnosis
        wanted = {each: getattr(expected, each) for each in said}
        problems = [
            f"{each}: {said[each]}, not {value}"
            for each, value in wanted.items()
            if value is not None and said[each] != value
        ]
        missing = set(expected.on_the_way) - set(self.links)
        return problems + [f"never shown: {link}" for link in sorted(missing)]


class Sightings(Lookout):
    """Samples the exporters in a thread of its own, several times per second."""

    def __init__(self, exporters: Mapping[Watcher, ExporterProcess]) -> None:
        super().__init__()
        self._exporters = exporters
        self._seen: dict[Key, Sighting] = {}
        self._lock = threading.Lock()

    def of(self, scenario: Scenario) -> Sighting:
        with self._lock:
            return self._seen.get((scenario.watcher, scenario.behaviour), Sighting())

    def all(self) -> dict[Key, Sighting]:
        with self._lock:
            return dict(self._seen)

    def problems(self, scenarios: Sequence[Scenario]) -> dict[str, list[str]]:
        """Return what is not as it must be, by scenario, at this moment."""
        assert not self.errors, self.errors
        found = {each.name: self.of(each).differs(each.expected) for each in scenarios}
        return {name: problems for name, problems in found.items() if problems}

    def forget_the_way(self) -> None:
        """Begin anew: the truth is another one from now on."""
        with self._lock:
            self._seen.clear()

    def look(self) -> None:
        """Ask every exporter once."""
        for watcher, exporter in self._exporters.items():
            self._look(watcher, exporter)

    def _look(self, watcher: Watcher, exporter: ExporterProcess) -> None:
        rows = {_behaviour(row): row for row in exporter.checkouts()}
        told = exporter.get("/api/v1/pools").json()["pools"]
        pools = {pool["pool"]: pool["diagnosis"] for pool in told}
        with self._lock:
            known = {name for seen_by, name in self._seen if seen_by is watcher}
            for name in rows.keys() | pools.keys() | known:
                row = rows.get(name)
                pool = row["pool"] if row else name
                sighting = self._seen.setdefault((watcher, name), Sighting())
                sighting.note(row, pools.get(pool))


def _behaviour(row: Row) -> str:
    """Return whose a checkout is: of a route, or where there is no request, of a pool."""
    return str(row["route"] or row["pool"]).removeprefix("/")

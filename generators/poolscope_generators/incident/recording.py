"""The recorded incident: samples as OpenMetrics text, and when each phase began and ended."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SAMPLES = FOLDER / "incident.om.gz"
STORY = FOLDER / "incident.json"


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the story; times are Unix seconds."""

    name: str
    says: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, and how often it was looked at."""

    scrape_interval_s: float
    phases: tuple[Phase, ...]

    @property
    def start(self) -> float:
        """Return when the first phase began."""
        return self.phases[0].start

    @property
    def end(self) -> float:
        """Return when the last phase ended."""
        return self.phases[-1].end

    def phase(self, name: str) -> Phase:
        """Return one phase; KeyError where there is none."""
        return {phase.name: phase for phase in self.phases}[name]


def read_story(path: Path = STORY) -> Story:
    """Return the recorded story."""
    told = json.loads(path.read_text(encoding="utf-8"))
    phases = tuple(Phase(**each) for each in told["phases"])
    return Story(told["scrape_interval_s"], phases)


def write_story(story: Story, path: Path = STORY) -> None:
    """Write the story so that a change of it can be read."""
    path.write_text(json.dumps(asdict(story), indent=1) + "\n", encoding="utf-8")


def write_samples(series: Iterable[Mapping[str, Any]], path: Path = SAMPLES) -> int:
    """Write series as a Prometheus returns them (metric, values); return how many samples."""
    by_labels = sorted(series, key=lambda each: sorted(each["metric"].items()))
    by_name = sorted(by_labels, key=lambda each: each["metric"]["__name__"])
    # No time and no name in the head of the file: the same samples are the same bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        for each in by_name:
            packed.write("".join(_lines(each["metric"], each["values"])).encode())
        packed.write(b"# EOF\n")
    return sum(len(each["values"]) for each in by_name)


def _lines(metric: Mapping[str, str], values: Sequence[tuple[float, str]]) -> Iterator[str]:
    labels = ",".join(
        f'{name}="{_escaped(value)}"'
        for name, value in sorted(metric.items(), key=itemgetter(0))
        if name != "__name__"
    )
    for at, value in values:
        yield f"{metric['__name__']}{{{labels}}} {value} {at:.3f}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

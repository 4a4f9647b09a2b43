"""Work out from what was measured how many processes need what: the table of docs/scaling-out.md.

`make docs` runs it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

from poolscope_exporter.core.admission.limits import Limits

DOCS = Path(__file__).parents[3] / "docs"
MEASURED, DOCUMENT = DOCS / "scale.md", DOCS / "scaling-out.md"
BEGIN, END = "<!-- begin of what make docs works out -->", "<!-- end of it -->"
PROCESSES = (10, 1_000, 100_000)
PUSH_INTERVAL_S = 5
SCRAPE_INTERVAL_S = 15
CORE_BUDGET = 0.5
PROMETHEUS_GIB = 16
MOST_INSTANCES = Limits().max_instances


@dataclass(frozen=True, slots=True)
class Costs:
    """What one application process with one pool costs, as measured.

    `core` is the share of a core of the exporter, `memory_mib` its memory, `series` those of its
    `/metrics`; of Prometheus `series_kib` is memory per series, `sample_us` CPU per sample.
    """

    core: float
    memory_mib: float
    series: float
    series_kib: float
    sample_us: float

    @property
    def per_exporter(self) -> int:
        """Return how many processes one exporter takes within its budget of CPU."""
        return min(floor(CORE_BUDGET / self.core), MOST_INSTANCES)

    @property
    def per_prometheus(self) -> int:
        """Return how many processes fill the memory of one Prometheus."""
        return floor(PROMETHEUS_GIB * 1024 * 1024 / self.series_kib / self.series)


def measured(scale: str, scaling_out: str) -> Costs:
    """Return the costs that the two documents tell; ValueError where one does not."""
    processes = _number(r"([\d,]+) processes of 1 pool each", scale)
    return Costs(
        core=_number(r"CPU, a scrape every 15 s \|[^|]*\| ([\d.]+) %", scale) / 100 / processes,
        memory_mib=_number(r"memory at its highest[^|]*\|[^|]*\| ([\d.]+) MiB", scale) / processes,
        series=_number(r"/metrics has ([\d,]+) samples", scale) / processes,
        series_kib=_number(r"([\d.]+) KiB per series", scaling_out),
        sample_us=_number(r"([\d.]+) µs of CPU per sample", scaling_out),
    )


def table(costs: Costs) -> Iterator[str]:
    """Return lines of Markdown: what each number of processes takes."""
    yield "| processes | " + " | ".join(f"{count:,}" for count in PROCESSES) + " |"
    yield "|---|" + "---:|" * len(PROCESSES)
    for what, cells in _rows(costs):
        yield f"| {what} | " + " | ".join(cells) + " |"
    yield ""
    yield f"One exporter is at half a core with {costs.per_exporter:,} processes, and refuses more"
    yield f"than {MOST_INSTANCES:,} (`--max-instances`). The series of {costs.per_prometheus:,}"
    yield f"processes fill a Prometheus of {PROMETHEUS_GIB} GiB; queries and the past are extra."


def _rows(costs: Costs) -> Iterator[tuple[str, list[str]]]:
    def each(text: str, value: float) -> list[str]:
        return [text.format(count * value) for count in PROCESSES]

    per_s = costs.series / SCRAPE_INTERVAL_S
    exporters = [ceil(count / costs.per_exporter) for count in PROCESSES]
    yield "pushes per second", each("{:,.0f}", 1 / PUSH_INTERVAL_S)
    yield "exporters of half a core", [f"{count:,}" for count in exporters]
    yield "their CPU, cores", each("{:,.2f}", costs.core)
    full_mib = costs.per_exporter * costs.memory_mib
    yield "their memory at most, MiB", [f"{count * full_mib:,.0f}" for count in exporters]
    yield "series", each("{:,.0f}", costs.series)
    yield f"samples per second, scraped every {SCRAPE_INTERVAL_S} s", each("{:,.0f}", per_s)
    yield "CPU of Prometheus to take them in, cores", each("{:,.2f}", per_s * costs.sample_us / 1e6)
    mib = costs.series * costs.series_kib / 1024
    yield "memory of Prometheus for them, MiB", each("{:,.0f}", mib)


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern} in the document")
    return float(found[1].replace(",", ""))


def main() -> None:
    """Write the table anew."""
    document = DOCUMENT.read_text(encoding="utf-8")
    costs = measured(MEASURED.read_text(encoding="utf-8"), document)
    before, _, rest = document.partition(BEGIN)
    worked_out = "\n".join(table(costs))
    text = f"{before}{BEGIN}\n\n{worked_out}\n\n{END}{rest.partition(END)[2]}"
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

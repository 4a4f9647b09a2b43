"""Measure what a large fleet costs the exporter: CPU, memory, scrapes, three rolling deploys."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.simulated_fleet import DEPLOY_S, PUSH_INTERVAL_S, SimulatedFleet
from support.exporter.exporter_process import ExporterProcess

DEPLOYS = 3
SCRAPE_INTERVAL_S = 15.0
"""What Prometheus is often set to."""

DENSE_INTERVAL_S = 5.0
"""Time between the scrapes whose latency is measured."""

MAX_CPU_SHARE = 0.5
MAX_MEMORY_MIB = 400.0
MAX_SCRAPE_P99_S = 1.0

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Steady:
    """What a fleet costs: shares of one core, resident memory in MiB, times in seconds."""

    cpu_share: float
    cpu_share_without_scrapes: float
    memory_mib: float
    scrape_times_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Outage:
    """What an outage costs: `pressed` processes under pressure, and the share of one core."""

    pressed: int
    cpu_share: float


@dataclass(frozen=True, slots=True)
class Deployed:
    """What rolling deploys cost: the memory after each, how long scrapes took meanwhile."""

    memory_mib: tuple[float, ...]
    scrape_times_s: tuple[float, ...]
    pushes_refused: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured of a fleet; sizes are MiB."""

    processes: int
    pools: int
    points_per_push: int
    steady: Steady
    outages: tuple[Outage, ...]
    deployed: Deployed
    memory_later_mib: float | None
    memory_peak_mib: float
    scrape_samples: int
    scrape_mib: float


def measure(processes: int, pools: int, seconds: float, later_s: float) -> Findings:
    """Let a fleet push, and look at the exporter while it does.

    `seconds` is the length of each phase. With `later_s`, memory is read once more so long after
    the deploys: the counters of processes that are gone are kept for ten minutes.
    """
    with (
        ExporterProcess() as exporter,
        SimulatedFleet(exporter.otlp, processes, pools) as fleet,
    ):
        pid, scraper = exporter.process.pid, _Scraper(exporter.web)
        time.sleep(3 * PUSH_INTERVAL_S)
        scraper.scrape()
        steady = _steady(pid, scraper, seconds)
        outages = tuple(
            _outage(pid, fleet, pressed, seconds) for pressed in (processes, processes // 5, 0)
        )[:-1]
        deployed = _deployed(pid, scraper, fleet)
        scraper.every(SCRAPE_INTERVAL_S, later_s)
        assert "Traceback" not in exporter.log, exporter.log
        return Findings(
            processes=processes,
            pools=pools,
            points_per_push=fleet.points,
            steady=steady,
            outages=outages,
            deployed=deployed,
            memory_later_mib=memory_mib(pid) if later_s else None,
            memory_peak_mib=memory_mib(pid, "VmHWM"),
            scrape_samples=scraper.body.count(b"\n") - scraper.body.count(b"\n#"),
            scrape_mib=len(scraper.body) / 2**20,
        )


def _steady(pid: int, scraper: "_Scraper", seconds: float) -> Steady:
    return Steady(
        cpu_share_without_scrapes=share_of_cpu(pid, lambda: time.sleep(seconds)),
        cpu_share=share_of_cpu(pid, lambda: scraper.every(SCRAPE_INTERVAL_S, seconds)),
        scrape_times_s=tuple(scraper.every(DENSE_INTERVAL_S, 2 * seconds)),
        memory_mib=memory_mib(pid),
    )


def _outage(pid: int, fleet: SimulatedFleet, pressed: int, seconds: float) -> Outage:
    fleet.begin_outage(pressed)
    time.sleep(2 * PUSH_INTERVAL_S)
    return Outage(pressed, share_of_cpu(pid, lambda: time.sleep(seconds)))


def _deployed(pid: int, scraper: "_Scraper", fleet: SimulatedFleet) -> Deployed:
    times: list[float] = []
    memory = []
    refused = 0
    for generation in range(1, DEPLOYS + 1):
        fleet.start_deploy(generation)
        times += scraper.every(DENSE_INTERVAL_S, DEPLOY_S)
        refused = fleet.refused()
        time.sleep(2 * PUSH_INTERVAL_S)
        memory.append(memory_mib(pid))
    return Deployed(tuple(memory), tuple(times), refused)


class _Scraper:
    """Scrapes, one after the other, and how long each took."""

    def __init__(self, web: str) -> None:
        address = urlsplit(web)
        assert address.hostname
        assert address.port
        self._address = address.hostname, address.port
        self.body = b""

    def scrape(self) -> float:
        """Return how long one scrape took."""
        began_s = time.perf_counter()
        with socket.create_connection(self._address) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            chunks = []
            while chunk := connection.recv(1 << 20):
                chunks.append(chunk)
        took_s = time.perf_counter() - began_s
        self.body = b"".join(chunks)
        assert self.body.startswith(b"HTTP/1.1 200"), self.body[:200]
        return took_s

    def every(self, interval_s: float, seconds: float) -> list[float]:
        """Scrape for so long; return how long each scrape took."""
        times: list[float] = []
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            begins_s = time.monotonic()
            times.append(self.scrape())
            time.sleep(max(0.0, min(begins_s + interval_s, ends_s) - time.monotonic()))
        return times


def memory_mib(pid: int, field: str = "VmRSS") -> float:
    """Return a process's resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def percentile(times: Sequence[float], share: float) -> float:
    """Return the time that this share of all stays within."""
    return sorted(times)[max(0, ceil(share * len(times)) - 1)]


def share_of_cpu(pid: int, work: Callable[[], object]) -> float:
    """Return the share of one core that the process used while the work went on."""
    began_s, before_s = time.monotonic(), cpu_s(pid)
    work()
    return (cpu_s(pid) - before_s) / (time.monotonic() - began_s)


def cpu_s(pid: int) -> float:
    """Return the CPU time that the process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def table(found: Findings) -> Iterator[str]:
    """Yield lines of Markdown: each budget, and whether it is kept."""
    yield (
        f"{found.processes:,} processes of {found.pools} pool{'s' if found.pools > 1 else ''} each,"
        f" {found.points_per_push} points per push; /metrics has {found.scrape_samples:,} samples,"
        f" {found.scrape_mib:.0f} MiB."
    )
    yield ""
    yield "| what | budget | measured | |"
    yield "|---|---|---|---|"
    for what, limit, measured, unit in _budgets(found):
        verdict = "within" if measured <= limit else "**over**"
        yield f"| {what} | ≤ {limit:g}{unit} | {measured:.4g}{unit} | {verdict} |"
    if found.memory_later_mib is not None:
        yield f"| memory, when they are forgotten | | {found.memory_later_mib:.4g} MiB | |"
    yield f"| memory at its highest, a scrape included | | {found.memory_peak_mib:.4g} MiB | |"


def _budgets(found: Findings) -> Iterator[tuple[str, float, float, str]]:
    steady, deployed = found.steady, found.deployed
    quiet, scraped = steady.cpu_share_without_scrapes, steady.cpu_share
    yield "CPU, without scrapes", 100 * MAX_CPU_SHARE, 100 * quiet, " % of a core"
    yield "CPU, a scrape every 15 s", 100 * MAX_CPU_SHARE, 100 * scraped, " % of a core"
    for outage in found.outages:
        what = f"CPU, {outage.pressed:,} processes under pressure"
        yield what, 100 * MAX_CPU_SHARE, 100 * outage.cpu_share, " % of a core"
    yield "memory", MAX_MEMORY_MIB, steady.memory_mib, " MiB"
    for number, mib in enumerate(deployed.memory_mib, 1):
        yield f"memory after rolling deploy {number}", MAX_MEMORY_MIB, mib, " MiB"
    for when, times in (
        ("", steady.scrape_times_s),
        (" during the deploys", deployed.scrape_times_s),
    ):
        yield f"scrape{when}, median", MAX_SCRAPE_P99_S, percentile(times, 0.5), " s"
        yield f"scrape{when}, p99 of {len(times)}", MAX_SCRAPE_P99_S, percentile(times, 0.99), " s"
    yield "pushes refused", 0, deployed.pushes_refused, ""

"""Measure what the live pages of a large fleet in trouble cost the exporter, and their readers."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from benchmarks.exporter_scale import cpu_s, share_of_cpu
from benchmarks.simulated_fleet import SimulatedFleet
from support.exporter.exporter_process import ExporterProcess

PROCESSES: Final = 500
HELD_EACH: Final = 4
ROUNDS: Final = 6
PAINTS: Final = 20
"""First paints in one slot: many, so that their CPU is more than the noise of the usual use."""

SLOT_S: Final = 5.0
"""The interval of the fleet's pushes, so that each slot has the same usual use."""

TABS: Final = 10
SETTLED_S: Final = 10.0

MAX_PAINT_KB: Final = 200
MAX_PAINT_MS: Final = 100
MAX_UPDATE_KB: Final = 20
MAX_TABS_SHARE: Final = 0.05

START, POOL = "start page", "page of a pool"


@dataclass(frozen=True, slots=True)
class PageCost:
    """The cost of one page: bytes on the wire, CPU of a first paint, and the largest update."""

    page: str
    bytes: int
    compressed: int
    paint_s: float
    update_bytes: int
    updates: int


@dataclass(frozen=True, slots=True)
class PageFindings:
    """What was measured; shares of one core with no, one and ten open start pages."""

    held: int
    interval_s: float
    pages: tuple[PageCost, ...]
    quiet: float
    one_tab: float
    ten_tabs: float


class Tab:
    """An open page: reads the stream of its changes in a thread, as a browser does."""

    def __init__(self, web: str, path: str) -> None:
        self.events: list[int] = []
        address = urlsplit(web)
        assert address.hostname
        assert address.port
        self._socket = socket.create_connection((address.hostname, address.port))
        request = f"GET /live{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        self._socket.sendall(request.encode())
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"data: "):
                    self.events.append(len(line))


def measure_pages(seconds: float, interval_s: float) -> PageFindings:
    """Let a fleet in trouble push at an interval, and open its pages in phases of `seconds`."""
    with (
        ExporterProcess() as exporter,
        SimulatedFleet(exporter.otlp, PROCESSES, 1, HELD_EACH, interval_s),
    ):
        pid = exporter.process.pid
        # Each process twice: a checkout is listed when it is a second old.
        time.sleep(2 * interval_s + SETTLED_S)
        pools = exporter.get("/api/v1/pools?limit=1").json()["pools"]
        path = f"/pool/{pools[0]['service']}/{pools[0]['pool']}"
        held = exporter.get("/api/v1/checkouts?limit=1").json()["matching"]
        quiet = share_of_cpu(pid, lambda: time.sleep(seconds))
        pages = tuple(
            _page_cost(exporter, name, at, seconds) for name, at in ((START, "/"), (POOL, path))
        )
        shares = []
        for count in (1, TABS):
            tabs = [Tab(exporter.web, "?refresh=2") for _ in range(count)]
            for tab in tabs:
                tab.__enter__()
            time.sleep(SETTLED_S)
            shares.append(share_of_cpu(pid, lambda: time.sleep(seconds)))
            for tab in tabs:
                tab.__exit__(None, None, None)
        assert "Traceback" not in exporter.log, exporter.log
        return PageFindings(held, interval_s, pages, quiet, *shares)


def _page_cost(exporter: ExporterProcess, name: str, path: str, seconds: float) -> PageCost:
    plain = exporter.get(path, **{"Accept-Encoding": "identity"})
    with_gzip = exporter.get(path, **{"Accept-Encoding": "gzip"})
    compressed = int(with_gzip.headers["content-length"])
    paint_s = _paint_s(exporter, path)
    with Tab(exporter.web, f"{'' if path == '/' else path}?refresh=2") as tab:
        time.sleep(seconds)
    return PageCost(name, len(plain.content), compressed, paint_s, max(tab.events), len(tab.events))


def _paint_s(exporter: ExporterProcess, path: str) -> float:
    """Return the exporter's CPU for one first paint, from slots with paints and without, in turns.

    It can be negative: then it is less than the noise.
    """
    paints_s = [
        _slot_s(exporter, path, range(begin, begin + PAINTS)) - _slot_s(exporter, path, ())
        for begin in range(100, 100 + ROUNDS * PAINTS, PAINTS)
    ]
    return median(paints_s) / PAINTS


def _slot_s(exporter: ExporterProcess, path: str, limits: Iterable[int]) -> float:
    """Return the exporter's CPU in one slot, with a first paint for each limit.

    Each limit makes an address of its own, which nobody has rendered before.
    """
    pid, until_s = exporter.process.pid, time.monotonic() + SLOT_S
    before_s = cpu_s(pid)
    for limit in limits:
        exporter.get(f"{path}?limit={limit}", **{"Accept-Encoding": "gzip"})
    late_s = time.monotonic() - until_s
    assert late_s < 0, f"the paints of a slot took {late_s:.1f} s too long"
    time.sleep(-late_s)
    return cpu_s(pid) - before_s


def page_table(found: PageFindings) -> Iterator[str]:
    """Yield lines of Markdown: each budget, and whether it is kept."""
    yield (
        f"{PROCESSES} processes of 20 services push every {found.interval_s:g} s. Each has a full"
        f" pool of {HELD_EACH} and waiting callers: {found.held:,} held checkouts."
    )
    yield ""
    yield "| live pages | budget | measured | |"
    yield "|---|---|---|---|"
    for what, limit, measured, unit in _page_budgets(found):
        verdict = "within" if measured <= limit else "**over**"
        yield f"| {what} | ≤ {limit:g}{unit} | {measured:.4g}{unit} | {verdict} |"
    yield f"| CPU with no open page | | {100 * found.quiet:.4g} % of a core | |"
    yield f"| CPU with one open page | | {100 * found.one_tab:.4g} % of a core | |"


def _page_budgets(found: PageFindings) -> Sequence[tuple[str, float, float, str]]:
    rows: list[tuple[str, float, float, str]] = []
    for each in found.pages:
        kb = each.compressed / 1000
        rows += [
            (f"{each.page}, first paint with gzip", MAX_PAINT_KB, kb, " kB"),
            (f"{each.page}, CPU of a first paint", MAX_PAINT_MS, 1000 * each.paint_s, " ms"),
            (
                f"{each.page}, largest of {each.updates} updates",
                MAX_UPDATE_KB,
                each.update_bytes / 1000,
                " kB",
            ),
        ]
    more = 100 * (found.ten_tabs - found.one_tab)
    rows.append(("ten open pages, more than one", 100 * MAX_TABS_SHARE, more, " % of a core"))
    return rows

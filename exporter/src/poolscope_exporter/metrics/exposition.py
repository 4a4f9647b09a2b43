"""Expose the situation and the applications' series to Prometheus."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakSet

from prometheus_client.exposition import choose_encoder

from poolscope_exporter import clock
from poolscope_exporter.core.fleet.service_totals.route_totals import RouteNames
from poolscope_exporter.listeners.compression import gzip_parts
from poolscope_exporter.metrics.app_series import SeriesLabels
from poolscope_exporter.metrics.families import Families, FamilyText
from poolscope_exporter.metrics.own_series import add_own
from poolscope_exporter.metrics.process_series import add_process
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.metrics.text_format import SeriesText
from poolscope_exporter.threads.daemon_threads import DaemonThreads

FRESH_S = 1.0
"""The time for which an exposition is reused: a second scraper costs nothing."""

AHEAD_S = 2.0
"""The time before an expected scrape at which its text is written; large fleets need almost 1 s."""

LEAST_PERIOD_S, MOST_PERIOD_S = 4.0, 120.0
"""Scrapes at shorter or longer intervals are not expected; their text is written on request."""

MAX_SCRAPES = 32
"""The largest number of scrapes in progress: each holds a connection and an exposition."""

OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class _Rendered:
    families: tuple[FamilyText, ...]
    expires_s: float
    bodies: dict[tuple[bool, bool], tuple[bytes, ...]] = field(default_factory=dict)
    """The parts of a whole body, by whether it is in OpenMetrics, and whether it is compressed.

    All its scrapers share them.
    """

    def body(self, *, is_openmetrics: bool, is_gzip: bool) -> tuple[bytes, ...]:
        """Return the parts of the body in one of the two formats."""
        kind = is_openmetrics, is_gzip
        if kind not in self.bodies:
            plain = self._as_openmetrics() if is_openmetrics else self._as_text()
            self.bodies[kind] = tuple(gzip_parts(plain) if is_gzip else plain)
        return self.bodies[kind]

    def _as_openmetrics(self) -> Iterator[bytes]:
        yield from (family.as_openmetrics() for family in self.families)
        yield b"# EOF\n"

    def _as_text(self) -> Iterator[bytes]:
        yield from (family.as_text() for family in self.families)


class ScrapeSlot:
    """The right to one of the scrapes in progress."""


class Exposition:
    """The text of `/metrics`, written beside the event loop, and before the request if possible.

    A text is reused for a second. A text that was written in advance is reused until a second after
    the expected scrape.
    """

    def __init__(
        self, take: Callable[[], Scrape], now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._take = take
        self._now = now
        self._lock = asyncio.Lock()
        self._rendered: _Rendered | None = None
        self.refused = 0
        self._under_way: WeakSet[ScrapeSlot] = WeakSet()
        self._writer = _Writer()
        self._threads = DaemonThreads("exposition")
        self._asked_at_s = float("-inf")
        self._ahead: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def render(self, accept: str, *, is_gzip: bool = False) -> tuple[Sequence[bytes], str]:
        """Return the parts of the body and its content type, as the scraper accepts them."""
        content_type = _content_type(accept)
        self._expect_another()
        async with self._lock:
            if self._rendered is None or self._now() >= self._rendered.expires_s:
                await self._write(FRESH_S)
            assert self._rendered is not None
            is_openmetrics = content_type.startswith(OPENMETRICS)
            write = partial(self._rendered.body, is_openmetrics=is_openmetrics, is_gzip=is_gzip)
            return await self._threads.run(write), content_type

    def begin_scrape(self) -> ScrapeSlot | None:
        """Return the slot of another scrape, or None if none is free; a refusal is counted.

        The slot is occupied while a reference to it exists.
        """
        if len(self._under_way) >= MAX_SCRAPES:
            self.refused += 1
            return None
        slot = ScrapeSlot()
        self._under_way.add(slot)
        return slot

    async def write_ahead(self) -> None:
        """Write the text of the scrape that is expected in AHEAD_S."""
        async with self._lock:
            await self._write(AHEAD_S + FRESH_S)

    async def _write(self, fresh_s: float) -> None:
        self._rendered = None  # its memory is needed now
        families = await self._threads.run(self._writer.texts, self._take())
        self._rendered = _Rendered(families, self._now() + fresh_s)

    def _expect_another(self) -> None:
        """Expect the next scrape after the same interval as between the last two."""
        loop = asyncio.get_running_loop()
        delay_s = write_delay_s(loop.time() - self._asked_at_s)
        self._asked_at_s = loop.time()
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None
        if delay_s is not None:
            self._ahead = loop.call_later(delay_s, self._start_writing)

    def _start_writing(self) -> None:
        self._writing = asyncio.create_task(self.write_ahead())


def write_delay_s(period_s: float) -> float | None:
    """Return when to write the next text, if scrapes come every `period_s`; None for never."""
    is_expected = LEAST_PERIOD_S <= period_s <= MOST_PERIOD_S
    return period_s - AHEAD_S if is_expected else None


def _content_type(accept: str) -> str:
    """Return the content type that the official client would choose."""
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # an invalid version
        _, content_type = choose_encoder("")
    # The names need no escaping; in every other scheme they would be different names.
    return re.sub("escaping=(dots|values)", "escaping=underscores", content_type)


class _Writer:
    """A writer of expositions that keeps the parts which they have in common."""

    def __init__(self) -> None:
        self._text = SeriesText()
        self._labels = SeriesLabels()
        self._routes = RouteNames()

    def texts(self, scrape: Scrape) -> tuple[FamilyText, ...]:
        """Return every family, each name once."""
        self._text.begin_exposition()
        families = Families(self._text)
        self._labels.add_series(families, scrape.series)
        add_own(families, scrape, self._routes)
        add_process(families, scrape.process)
        return tuple(families.family_texts())

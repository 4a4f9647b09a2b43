"""Expose the situation and the applications' series to Prometheus."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.exposition import choose_encoder

from poolscope_exporter import clock
from poolscope_exporter.core.fleet.route_totals import RouteNames
from poolscope_exporter.metrics.app_series import SeriesLabels
from poolscope_exporter.metrics.families import Families, FamilyText
from poolscope_exporter.metrics.own_series import add_own
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.metrics.text_format import SeriesText

FRESH_S = 1.0
"""How long an exposition is served again: a second scraper costs nothing."""

AHEAD_S = 2.0
"""So long before an expected scrape its text is written: a large fleet's takes almost a second."""

LEAST_PERIOD_S, MOST_PERIOD_S = 4.0, 120.0
"""Scrapes that come more often, or more seldom, are not expected: they are written when they come.
"""

OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class _Rendered:
    families: tuple[FamilyText, ...]
    expires_s: float


class Exposition:
    """The text of `/metrics`: written beside the event loop, before it is asked for if it can be.

    A text is served for a second; one that was written ahead, until a second after its scrape was
    expected.
    """

    def __init__(
        self, take: Callable[[], Scrape], now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._take = take
        self._now = now
        self._lock = asyncio.Lock()
        self._rendered: _Rendered | None = None
        self._writer = _Writer()
        self._asked_at_s = float("-inf")
        self._ahead: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def render(self, accept: str) -> tuple[list[bytes], str]:
        """Return the body, in parts, and its content type, in the form that the scraper accepts."""
        content_type = _content_type(accept)
        self._expect_another()
        async with self._lock:
            if self._rendered is None or self._now() >= self._rendered.expires_s:
                await self._write(FRESH_S)
            assert self._rendered is not None
            families = self._rendered.families
        if content_type.startswith(OPENMETRICS):
            return [*(family.as_openmetrics() for family in families), b"# EOF\n"], content_type
        return [family.as_text() for family in families], content_type

    async def write_ahead(self) -> None:
        """Write the text of the scrape that is expected in AHEAD_S."""
        async with self._lock:
            await self._write(AHEAD_S + FRESH_S)

    async def _write(self, fresh_s: float) -> None:
        self._rendered = None  # its memory is needed now
        families = await asyncio.to_thread(self._writer.texts, self._take())
        self._rendered = _Rendered(families, self._now() + fresh_s)

    def _expect_another(self) -> None:
        """Expect the next scrape as long after this one as this came after the one before."""
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
    """Return when to write for the scrape after one that came after `period_s`; None for never."""
    is_expected = LEAST_PERIOD_S <= period_s <= MOST_PERIOD_S
    return period_s - AHEAD_S if is_expected else None


def _content_type(accept: str) -> str:
    """Return the form that the official client would choose."""
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        _, content_type = choose_encoder("")
    # Our names need no escaping: in every other scheme they would be other names.
    return re.sub("escaping=(dots|values)", "escaping=underscores", content_type)


class _Writer:
    """Writes one exposition after the other, and keeps what they have in common."""

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
        return tuple(families.family_texts())

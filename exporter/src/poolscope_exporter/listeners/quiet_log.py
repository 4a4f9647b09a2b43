"""Log messages that peers can cause at any rate at most once a minute, with their number."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from poolscope_exporter import clock

PERIOD_S: Final = 60.0

_log = logging.getLogger("poolscope_exporter")


class OncePerPeriod(logging.Filter):
    """A filter that passes one record of each text per minute.

    The next one has the number dropped.
    """

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        super().__init__()
        self._now = now
        self._passed_at_s: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        text = record.getMessage()
        if self._now() < self._passed_at_s.get(text, float("-inf")) + PERIOD_S:
            self._held_back[text] = self._held_back.get(text, 0) + 1
            return False
        if held_back := self._held_back.pop(text, 0):
            record.msg = f"{text} (and {held_back} times more since it was logged last)"
            record.args = None
        # Texts with numbers would accumulate, so those older than a minute are removed.
        self._passed_at_s = {
            known: at_s
            for known, at_s in self._passed_at_s.items()
            if at_s + PERIOD_S > self._now() or known in self._held_back
        }
        self._passed_at_s[text] = self._now()
        return True


def quieten(loop: asyncio.AbstractEventLoop) -> None:
    """Log malformed requests, and connections that lack a file descriptor, once a minute."""
    logging.getLogger("uvicorn.error").addFilter(OncePerPeriod())
    once = OncePerPeriod()

    def handle(at: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        text = str(context.get("message", ""))
        if "socket.accept()" not in text:
            at.default_exception_handler(context)
            return
        record = _log.makeRecord(_log.name, logging.ERROR, __file__, 0, "%s", (text,), None)
        if once.filter(record):
            _log.handle(record)

    loop.set_exception_handler(handle)

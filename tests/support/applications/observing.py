"""Looks at the holders of a pool at random moments, and a server that keeps its clients waiting."""

import asyncio
import inspect
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from poolscope.recording.registry import Registry
from poolscope.watching.holder_looks import HolderLooks
from poolscope.watching.owner_stack import LoopThread
from support.applications.holding import keeping_line

LOOKS = 40
ENOUGH = 0.95
"""The share of the looks that must find the line and the call."""


class SlowServer(NamedTuple):
    """An HTTP server that answers when the test is over, and whether it was asked."""

    address: str
    asked: threading.Event


@contextmanager
def a_slow_server() -> Iterator[SlowServer]:
    """Run such a server."""
    end, asked = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            end.wait()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield SlowServer(f"http://127.0.0.1:{server.server_port}/", asked)
        finally:
            end.set()
            server.shutdown()
            thread.join()


class Seen(NamedTuple):
    """A place and a call that a look found; the line is 0 if only the call is known."""

    file: str
    line: int
    call: str | None


class Observer:
    """Looks at all holders of the registry at random moments, from another thread."""

    def __init__(self, registry: Registry) -> None:
        self.seen: Counter[Seen] = Counter()
        self.is_over = threading.Event()
        self._loops: dict[int, LoopThread] = {}
        self._looks = HolderLooks(registry, lambda: self._loops)

    def note_loop(self) -> None:
        """Note that the running loop runs in this thread."""
        self._loops[id(asyncio.get_running_loop())] = LoopThread(threading.get_ident(), None)

    def look(self, asked: threading.Event | None = None) -> None:
        """Look until the holders were seen often enough, after a server was asked."""
        if asked is not None:
            asked.wait()
        for number in range(LOOKS * 20):
            if self.seen.total() >= LOOKS or self.is_over.wait(random.uniform(0.001, 0.01)):
                break
            for use in self._looks.look_at_owners(float(number)):
                sighting = self._looks.holder_sighting(use.checkout.id)
                if sighting is not None:
                    place = sighting.position.site.place or ("", 0, "")
                    file = place[0].rpartition("/")[2]
                    self.seen[Seen(file, place[1], sighting.position.call)] += 1
        self.is_over.set()


def share_at(seen: Counter[Seen], function: Callable[..., Any], call: str | None) -> float:
    """Return the share of the looks that found the marked line of a function, and this call."""
    lines, first = inspect.getsourcelines(function)
    file = Path(inspect.getsourcefile(function) or "").name
    right = range(first, first + len(lines))
    return share_within(seen, Seen(file, keeping_line(function), call), right)


def share_within(seen: Counter[Seen], wanted: Seen, right: range) -> float:
    """Return the share of the looks that found a place; all must be at these lines of its file.

    The owner runs or waits in this function for the whole time, so any other line is wrong.
    """
    assert seen.total() >= LOOKS, seen
    wrong = {each for each in seen if each.line and not _is_at(each, wanted.file, right)}
    assert not wrong, seen
    return seen[wanted] / seen.total()


def _is_at(seen: Seen, file: str, lines: range) -> bool:
    return seen.file == file and seen.line in lines

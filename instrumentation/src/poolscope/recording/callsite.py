"""Find the line of application code that asked for a connection, at a low cost per checkout."""

import asyncio.base_events
import asyncio.events
import asyncio.runners
import os
import sys
import sysconfig
import threading
from types import CodeType, FrameType

MAX_SITES = 4096
_MAX_FILES = 20_000

LIBRARIES = frozenset(
    {
        "_pytest", "advanced_alchemy", "aiohttp", "aiomysql", "aiosqlite", "alembic", "anyio",
        "apscheduler", "arq", "asyncpg", "billiard", "celery", "cheroot", "databases", "django",
        "dramatiq", "eventlet", "fastapi", "flask", "flask_sqlalchemy", "gevent", "greenlet",
        "gunicorn", "huey", "hypercorn", "kombu", "litestar", "opentelemetry", "pluggy",
        "poolscope", "psycopg", "psycopg2", "psycopg_pool", "pymysql", "quart", "rq", "sanic",
        "sanic_routing", "sentry_sdk", "sqlalchemy", "sqlmodel", "starlette", "tenacity", "uvicorn",
        "uvloop", "waitress", "werkzeug", "wrapt",
    }
)  # fmt: skip
"""Packages that are never a call site: the line that called into them is the call site."""

_STANDARD_LIBRARY = tuple(
    path + "/"
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    if path is not None
)

_EVENT_LOOPS = frozenset(
    module.__file__ for module in (asyncio.events, asyncio.base_events, asyncio.runners)
)
"""Files with frames between a task and the code that started the event loop."""

_RUN_OF_THREAD = getattr(threading.Thread.run, "__code__", None)  # other libraries may wrap it

Place = tuple[str, int, str]
"""File, line and qualified function name."""


class Site:
    """One place in the application's code; file, line and function are computed when needed."""

    __slots__ = ("__weakref__", "_code", "_lasti", "_place")

    def __init__(self, code: CodeType | None, lasti: int) -> None:
        # Keeping the code object (never a frame) prevents another code object with the same id.
        self._code = code
        self._lasti = lasti
        self._place: Place | None = None

    @property
    def code(self) -> CodeType | None:
        """Return the code that has this place; None if unknown."""
        return self._code

    @property
    def place(self) -> Place | None:
        """Return (file, line, qualified function name), or None if unknown."""
        if self._place is None and self._code is not None:
            line = _line_at(self._code, self._lasti)
            self._place = shorten(self._code.co_filename), line, self._code.co_qualname
        return self._place

    @property
    def label(self) -> str:
        """Return `file:line`, or `other` if unknown."""
        return f"{self.place[0]}:{self.place[1]}" if self.place else "other"


UNKNOWN_SITE = Site(None, 0)
known_sites: dict[int, Site] = {}
"""Places in the application, never in a library, by the address of the instruction.

The address is the id of the code object plus the offset of the instruction in it.
"""

_APPLICATION, _LIBRARY, _LOOP = 0, 1, 2
_kinds: dict[str, int] = {}
_libraries: set[str] = set()
"""The library files among `_kinds`: most frames are in them, and a look-up in a set is fastest."""


def find_site(
    frame: FrameType | None, parent: FrameType | None = None, libraries: set[str] = _libraries
) -> Site:
    """Return the first application line from `frame` outwards, then from `parent` outwards.

    `parent` is a frame that is not on a greenlet's stack. An AsyncEngine runs its pool in a
    separate greenlet, and the application's coroutine is suspended in the parent greenlet.
    """
    for start in (frame, parent):
        current = start
        while current is not None:
            code = current.f_code
            if code.co_filename in libraries:
                current = current.f_back
                continue
            kind = _kinds.get(code.co_filename)
            if kind is None:
                kind = _classify(code.co_filename)
            if kind == _APPLICATION:
                # f_lineno costs up to 7 µs at the end of a long function, f_lasti nothing.
                lasti = current.f_lasti
                return known_sites.get(id(code) + lasti) or _new_site(code, lasti)
            if kind == _LOOP:
                break  # further out is the code that started the loop, not the caller of the pool
            current = current.f_back
    return UNKNOWN_SITE


def site_outside(frame: FrameType, runner: CodeType | None = None) -> Site:
    """Return the first application line from `frame` outwards, without storing its place.

    `runner` is code that runs an event loop: further out is the code that started the loop. The
    watcher may find any instruction of the application, and `known_sites` is too small for all.
    """
    current: FrameType | None = frame
    while current is not None and current.f_code is not runner:
        kind = _kind_of(current.f_code.co_filename)
        if kind == _APPLICATION:
            return Site(current.f_code, current.f_lasti)
        if kind == _LOOP:
            break
        current = current.f_back
    return UNKNOWN_SITE


def _new_site(code: CodeType, lasti: int) -> Site:
    if len(known_sites) >= MAX_SITES:
        return UNKNOWN_SITE
    return known_sites.setdefault(id(code) + lasti, Site(code, lasti))


def _kind_of(filename: str) -> int:
    kind = _kinds.get(filename)
    return _classify(filename) if kind is None else kind


def _classify(filename: str) -> int:
    if len(_kinds) > _MAX_FILES:
        _kinds.clear()
        _libraries.clear()
    if filename in _EVENT_LOOPS or _is_inside(filename, "uvloop"):
        kind = _LOOP
    else:
        kind = _LIBRARY if is_library(filename) else _APPLICATION
    _kinds[filename] = kind
    if kind == _LIBRARY:
        _libraries.add(filename)
    return kind


def is_between_jobs(frame: FrameType) -> bool:
    """Return whether a thread runs only libraries and no event loop: a worker without a job.

    A thread that runs an event loop does not count, because its connections may be meant for the
    whole process. An uvloop has no frames: if a thread runs nothing else, its frame is
    `Thread.run`.
    """
    current: FrameType | None = frame
    if frame.f_code is _RUN_OF_THREAD:
        return False
    while current is not None:
        if _kind_of(current.f_code.co_filename) != _LIBRARY:
            return False
        current = current.f_back
    return True


def is_loop(frame: FrameType) -> bool:
    """Return whether a frame belongs to the event loop itself, so that no callback runs."""
    return is_loop_code(frame.f_code)


def is_loop_code(code: CodeType) -> bool:
    """Return whether code belongs to an event loop: no frame outside it belongs to a task."""
    return _kind_of(code.co_filename) == _LOOP


def is_library(filename: str) -> bool:
    """Return whether `filename` belongs to a library; an application may be installed too."""
    if filename.startswith("<"):
        return True  # generated: "<string>", "<frozen …>", "<sqlalchemy generated …>"
    if filename.startswith(_STANDARD_LIBRARY) and "/site-packages/" not in filename:
        return True
    parts = filename.replace("\\", "/").split("/")
    return any(_is_inside(filename, name) for name in LIBRARIES.intersection(parts))


def _is_inside(filename: str, package: str) -> bool:
    """Return whether a file belongs to the imported package, not to a folder of the same name.

    The package may be imported from anywhere: from site-packages, or from a folder beside the
    application, as on AWS Lambda.
    """
    origin = getattr(sys.modules.get(package), "__file__", None)
    if origin is None:
        return False
    folder = os.path.dirname(origin)  # noqa: PTH120 - runs in checkouts; a Path costs more
    return filename.startswith(folder + "/")


def _line_at(code: CodeType, lasti: int) -> int:
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno


def shorten(filename: str) -> str:
    """Return `filename` relative to its import root, so that it is equal on every machine."""
    roots = [root.rstrip("/") + "/" for root in sys.path if root]
    matching = [root for root in roots if filename.startswith(root)]
    return filename[len(max(matching, key=len)) :] if matching else filename

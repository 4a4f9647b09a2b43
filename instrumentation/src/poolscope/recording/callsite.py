"""Find the line of application code that asked for a connection, at a cost that fits a checkout."""

import asyncio.base_events
import asyncio.events
import asyncio.runners
import os
import sys
import sysconfig
from types import CodeType, FrameType

MAX_SITES = 4096
_MAX_FILES = 20_000

LIBRARIES = frozenset(
    {
        "_pytest", "advanced_alchemy", "aiomysql", "aiosqlite", "alembic", "anyio", "asyncpg",
        "celery", "databases", "django", "fastapi", "flask", "flask_sqlalchemy", "greenlet",
        "gunicorn", "hypercorn", "kombu", "litestar", "opentelemetry", "pluggy", "poolscope",
        "psycopg", "psycopg2", "psycopg_pool", "pymysql", "quart", "sentry_sdk", "sqlalchemy",
        "sqlmodel", "starlette", "tenacity", "uvicorn", "uvloop", "werkzeug", "wrapt",
    }
)  # fmt: skip
"""Packages whose lines explain nothing: the line that called into them is the call site."""

_STANDARD_LIBRARY = tuple(
    path + "/"
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    if path is not None
)

_EVENT_LOOPS = frozenset(
    module.__file__ for module in (asyncio.events, asyncio.base_events, asyncio.runners)
)
"""Frames of these stand between a task and whoever started the event loop."""


class Site:
    """One place in the application's code; file, line and function are worked out when asked."""

    __slots__ = ("__weakref__", "_code", "_lasti", "_place")

    def __init__(self, code: CodeType | None, lasti: int) -> None:
        # Holding the code object (never a frame) keeps its id, our key, from being used again.
        self._code = code
        self._lasti = lasti
        self._place: tuple[str, int, str] | None = None

    @property
    def place(self) -> tuple[str, int, str] | None:
        """Return (file, line, qualified function name), or None where nothing is known."""
        if self._place is None and self._code is not None:
            line = _line_at(self._code, self._lasti)
            self._place = shorten(self._code.co_filename), line, self._code.co_qualname
        return self._place

    @property
    def label(self) -> str:
        """Return `file:line`, a bounded label."""
        return f"{self.place[0]}:{self.place[1]}" if self.place else "other"


UNKNOWN_SITE = Site(None, 0)
known_sites: dict[int, Site] = {}
"""By the address of the instruction (the id of its code, which has it inside, plus its offset):
places in the application, never in a library."""

_APPLICATION, _LIBRARY, _LOOP = 0, 1, 2
_kinds: dict[str, int] = {}
_libraries: set[str] = set()
"""The files among `_kinds` that are libraries': most frames are, and asking a set costs least."""


def find_site(
    frame: FrameType | None, parent: FrameType | None = None, libraries: set[str] = _libraries
) -> Site:
    """Return the first application line from `frame` outwards, then from `parent` outwards.

    `parent` is the frame that a greenlet's stack hides: under an AsyncEngine the pool runs in a
    greenlet of its own, and the application's coroutine is suspended on the parent's.
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
                break  # below it is whoever started the loop, not whoever asked for a connection
            current = current.f_back
    return UNKNOWN_SITE


def _new_site(code: CodeType, lasti: int) -> Site:
    if len(known_sites) >= MAX_SITES:
        return UNKNOWN_SITE
    return known_sites.setdefault(id(code) + lasti, Site(code, lasti))


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


def is_library(filename: str) -> bool:
    """Return whether code from `filename` is a library's; an application may be installed too."""
    if filename.startswith("<"):
        return True  # generated: "<string>", "<frozen …>", "<sqlalchemy generated …>"
    if filename.startswith(_STANDARD_LIBRARY) and "/site-packages/" not in filename:
        return True
    parts = filename.replace("\\", "/").split("/")
    return any(_is_inside(filename, name) for name in LIBRARIES.intersection(parts))


def _is_inside(filename: str, package: str) -> bool:
    """Return whether a file is the imported package's; an application may use the same name.

    Where the package is imported from does not matter: site-packages, or a folder beside the
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
    """Return `filename` from its import root on: the same on every machine that runs the code."""
    roots = [root.rstrip("/") + "/" for root in sys.path if root]
    matching = [root for root in roots if filename.startswith(root)]
    return filename[len(max(matching, key=len)) :] if matching else filename

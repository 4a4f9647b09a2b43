"""Distinguish the application's code from libraries, and name the calls of libraries."""

import sys
from pathlib import PurePosixPath
from sysconfig import get_path
from types import CodeType
from typing import Final

from poolscope.recording.callsite import is_library, shorten

DATABASE_PACKAGES: Final = frozenset(
    {
        "advanced_alchemy", "aiomysql", "aiosqlite", "asyncpg", "databases", "django.db",
        "flask_sqlalchemy", "psycopg", "psycopg2", "psycopg_pool", "pymysql", "sqlalchemy",
        "sqlite3", "sqlmodel",
    }
)  # fmt: skip
"""Packages that talk to the database: whoever waits in them does not wait for anything else."""

CALLED_PACKAGES: Final = frozenset(
    {
        "aio_pika", "aioboto3", "aiobotocore", "aiohttp", "aiokafka", "anthropic", "boto3",
        "botocore", "confluent_kafka", "elasticsearch", "google", "grpc", "h11", "h2", "httpcore",
        "httpx", "jinja2", "kafka", "motor", "nats", "numpy", "openai", "pandas", "paramiko",
        "pika", "pydantic", "pymongo", "redis", "requests", "stripe", "trio", "urllib3", "valkey",
        "websockets", "zmq",
    }
)  # fmt: skip
"""Packages that applications call, and that never are applications themselves."""

_GLUE: Final = frozenset({"contextlib", "functools", "_weakrefset", "importlib"})
"""Packages of the standard library that only pass a call on."""

_ENTERING: Final = frozenset(
    {
        "__aenter__", "__aexit__", "__anext__", "__await__", "__call__", "__enter__", "__exit__",
        "_aexit",  # to which `TaskGroup.__aexit__` passes on in Python 3.14
    }
)  # fmt: skip
"""Methods that a statement calls: the next call inside has a better name, if there is one."""

_SCRIPTS: Final = (get_path("scripts") or "") + "/"
_SITE: Final = ("/site-packages/", "/dist-packages/")
_MAX_CODES: Final = 20_000


class CodeNames:
    """The names and the kinds of code objects, each found out once.

    A package below `site-packages` is a library, unless a line of it took a connection: then it is
    an installed application. An owner without any line by this rule is read by the narrower rule of
    call sites, which regards unknown packages as the application's.
    """

    def __init__(self) -> None:
        self._own_packages: set[str] = set()
        self._sites: set[str] = set()
        self._strict: dict[str, bool] = {}
        self._lenient: dict[str, bool] = {}
        self._names: dict[CodeType, str] = {}

    def add_site(self, filename: str) -> None:
        """Note a file with a line that took a connection."""
        if filename in self._sites or len(self._sites) >= _MAX_CODES:
            return
        self._sites.add(filename)
        package = _installed_package(filename)
        if package is not None and package not in self._own_packages:
            self._own_packages.add(package)
            self._strict.clear()

    def is_application(self, filename: str) -> bool:
        """Return whether a file certainly belongs to the application."""
        found = self._strict.get(filename)
        if found is None:
            package = _installed_package(filename)
            found = self.may_be_application(filename) and (
                package is None or package in self._own_packages
            )
            self._strict[filename] = found
        return found

    def may_be_application(self, filename: str) -> bool:
        """Return whether a file belongs to no known library."""
        found = self._lenient.get(filename)
        if found is None:
            if len(self._lenient) >= _MAX_CODES:
                self._lenient.clear()
                self._strict.clear()
            is_called = _installed_package(filename) in CALLED_PACKAGES
            found = not (is_library(filename) or is_called or filename.startswith(_SCRIPTS))
            self._lenient[filename] = found
        return found

    def name_of(self, code: CodeType) -> str:
        """Return the public name of a library's function, such as `httpx.AsyncClient.get`."""
        name = self._names.get(code)
        if name is None:
            if len(self._names) >= _MAX_CODES:
                self._names.clear()
            name = self._names[code] = _public_name(code)
        return name


def is_glue(name: str) -> bool:
    """Return whether a function only passes a call on."""
    return name.partition(".")[0] in _GLUE


def is_entering(name: str) -> bool:
    """Return whether a statement, such as `async with`, calls this function."""
    return name.rpartition(".")[2] in _ENTERING


def is_database(name: str) -> bool:
    """Return whether a function belongs to a library that talks to the database."""
    package = name.partition(".")[0]
    return package in DATABASE_PACKAGES or name.startswith("django.db.")


def _installed_package(filename: str) -> str | None:
    """Return the package below `site-packages` to which a file belongs; None outside."""
    for folder in _SITE:
        _, found, inside = filename.rpartition(folder)
        if found:
            return inside.partition("/")[0].removesuffix(".py")
    return None


def _public_name(code: CodeType) -> str:
    """Return the shortest name under which an imported package offers a function."""
    path = PurePosixPath(shorten(code.co_filename).replace("\\", "/")).with_suffix("")
    parts = [part for part in path.parts if part not in {"__init__", "/"}]
    name = code.co_qualname.rpartition("<locals>.")[2]
    if code.co_filename.startswith("<"):
        return name
    first = name.partition(".")[0]
    for end in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:end]))
        if module is not None and first in vars(module):
            return ".".join([*parts[:end], name])
    public = [part for part in parts if not part.startswith("_")]
    return ".".join([*(public or parts), name])

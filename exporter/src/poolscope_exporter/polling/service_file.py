"""Read libpq's connection service file, so that a DSN of `service=…` is named by its server.

libpq reads the file itself at each connect, but has no function that returns its contents.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

FILE_NAME = ".pg_service.conf"
SYSTEM_FILE_NAME = "pg_service.conf"


def service_parameters(name: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the parameters of a service, empty if no file defines it or none can be read.

    As in libpq, the first file with the service is used, and in it the first value of a parameter.
    """
    for file in _files(environ):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeError):
            continue
        if found := _section(text, name):
            return found
    return {}


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    if named := environ.get("PGSERVICEFILE"):
        yield Path(named)
    elif home := environ.get("HOME"):
        yield Path(home, FILE_NAME)
    if folder := environ.get("PGSYSCONFDIR"):
        yield Path(folder, SYSTEM_FILE_NAME)


def _section(text: str, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    is_inside = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            is_inside = line == f"[{name}]"
        elif is_inside and "=" in line and not line.startswith("#"):
            keyword, _, value = line.partition("=")
            found.setdefault(keyword, value)
    return found

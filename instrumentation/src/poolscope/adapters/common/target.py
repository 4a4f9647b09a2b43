"""Name a PostgreSQL pool by its configured server and database, so that restarts keep the name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from poolscope.recording.pool import PoolIdentity

DEFAULT_PORT = 5432
SYSTEM = "postgresql"


@dataclass(frozen=True, slots=True)
class Target:
    """The first server and the database of a connection string; a missing part is empty."""

    host: str = ""
    port: int | None = None
    database: str = ""


def read_url(url: str) -> dict[str, str]:
    """Return host, port, user and dbname of a libpq URL, if it has them, never the password."""
    parts = urlsplit(url)
    userinfo, _, hosts = parts.netloc.rpartition("@")
    found = {"user": userinfo.partition(":")[0], "dbname": parts.path.lstrip("/")}
    host, port = split_host(hosts.partition(",")[0])
    found |= {"host": host, "port": port}
    found = {name: unquote(value) for name, value in found.items() if value}
    wanted = {"host", "port", "user", "dbname", "database"}
    in_query = {name: value for name, value in parse_qsl(parts.query) if name in wanted}
    return {**in_query, **found}


def split_host(address: str) -> tuple[str, str]:
    """Return host and port of an address; a missing part is empty."""
    if address.startswith("["):  # an IPv6 address
        host, _, port = address[1:].partition("]")
        return host, port.lstrip(":")
    if address.startswith("/"):  # a folder of sockets; a name of Cloud SQL has colons in it
        return address, ""
    host, _, port = address.partition(":")
    return host, port


def target_of(given: Mapping[str, Any]) -> Target:
    """Return the target of libpq's or asyncpg's parameters, or else of libpq's variables.

    Only the first of several hosts counts: the others have the same database after a fail-over.
    """
    host = _first(given.get("host")) or _first(os.environ.get("PGHOST"))
    port = _first(given.get("port")) or _first(os.environ.get("PGPORT"))
    user = given.get("user") or os.environ.get("PGUSER")
    database = given.get("database") or given.get("dbname") or os.environ.get("PGDATABASE") or user
    number = int(port) if port.isdigit() else DEFAULT_PORT if host else None
    return Target(host, number, str(database or ""))


def _first(value: Any) -> str:
    """Return the first of several hosts or ports, given as a sequence or separated by commas."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return "" if value is None else str(value).partition(",")[0].strip()


def identify(given_name: str | None, target: Target, library: str) -> PoolIdentity:
    """Name a pool by the given name, or else its database, its server or its library."""
    address = f"{target.host}:{target.port}" if target.port else target.host
    name = given_name or target.database or address or library
    return PoolIdentity(name, target.database, target.host, target.port, SYSTEM)

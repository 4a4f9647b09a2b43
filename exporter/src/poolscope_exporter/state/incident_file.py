"""Read and write the file with the incidents: an SQLite database of bounded size."""

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from poolscope_exporter.core.incidents.incident import Incident
from poolscope_exporter.core.incidents.incident_log import IncidentChanges

NAME: Final = "incidents.sqlite3"
ASIDE: Final = "incidents.sqlite3.unreadable"
"""The name of a file that cannot be read; a later one replaces it, so that the disk stays free."""

MAX_BYTES: Final = 16 * 1024 * 1024
"""The largest size of the file: more than the largest incidents need together."""

_PAGE_BYTES: Final = 4096
_VERSION: Final = 1
"""The layout of the table; a file with another layout is moved aside."""

_LOCK_TIMEOUT_S: Final = 1.0
_UNREADABLE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_INCIDENT: Final = TypeAdapter(Incident)


class StateError(Exception):
    """The file cannot be read or written; the message has the cause."""


class UnreadableStateError(StateError):
    """The file is no database of this version; it has to be moved aside."""


class IncidentFile:
    """The file in one directory, with a lock that no second exporter can get.

    All methods block, so that they run in a thread; only one thread may use it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._database: sqlite3.Connection | None = None

    def __str__(self) -> str:
        return str(self._path)

    def read_incidents(self) -> tuple[list[Incident], int]:
        """Open the file and return its incidents, and the number of unreadable ones.

        Raise StateError if it cannot be opened, and UnreadableStateError if it is damaged.
        """
        self.close()
        try:
            self._database = self._opened()
            rows = self._database.execute("SELECT body FROM incidents").fetchall()
        except (sqlite3.Error, OSError) as exc:
            self.close()
            raise _error(exc) from exc
        except UnreadableStateError:
            self.close()
            raise
        found = [_read(body) for (body,) in rows]
        incidents = [each for each in found if each is not None]
        return incidents, len(found) - len(incidents)

    def write_changes(self, changes: IncidentChanges, *, is_complete: bool) -> None:
        """Write the changed incidents, or with `is_complete` all; delete the others.

        Raise StateError if that fails; then the file is as it was before.
        """
        if self._database is None:
            raise StateError("the file is not open")
        changed = [each for each in changes.kept if is_complete or each.id in changes.changed]
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._delete_others({each.id for each in changes.kept})
                self._database.executemany(
                    "INSERT OR REPLACE INTO incidents (id, body) VALUES (?, ?)", _rows(changed)
                )
        except sqlite3.Error as exc:
            raise _error(exc) from exc

    def move_aside(self) -> Path:
        """Rename an unreadable file, and return its new name; raise StateError if that fails."""
        self.close()
        aside = self._path.with_name(ASIDE)
        try:
            self._path.replace(aside)
            for journal in ("-journal", "-wal", "-shm"):
                # With the journal of the old file, SQLite would damage the new one.
                self._path.with_name(NAME + journal).unlink(missing_ok=True)
        except OSError as exc:
            raise _error(exc) from exc
        return aside

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
        self._database = None

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Routes and lines of applications are in it, so that only this user may read it.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        if self._path.stat().st_size > MAX_BYTES:
            raise UnreadableStateError(f"is larger than {MAX_BYTES // 1024 // 1024} MiB")
        database = sqlite3.connect(
            self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _delete_others(self, kept: Collection[str]) -> None:
        assert self._database is not None
        stored = [found for (found,) in self._database.execute("SELECT id FROM incidents")]
        gone = [(found,) for found in stored if found not in kept]
        self._database.executemany("DELETE FROM incidents WHERE id = ?", gone)


def _prepare(database: sqlite3.Connection) -> None:
    """Lock the database, limit its size, and make its table."""
    for pragma in (
        "locking_mode = EXCLUSIVE",
        "journal_mode = TRUNCATE",
        "synchronous = NORMAL",
        f"max_page_count = {MAX_BYTES // _PAGE_BYTES}",
    ):
        database.execute(f"PRAGMA {pragma}")
    database.execute("BEGIN EXCLUSIVE")
    database.execute("COMMIT")
    [(result,), *_] = database.execute("PRAGMA quick_check(1)").fetchall()
    if result != "ok":
        raise UnreadableStateError(f"is damaged: {result}")
    [(version,)] = database.execute("PRAGMA user_version").fetchall()
    if version not in (0, _VERSION):
        raise UnreadableStateError(f"has layout {version}, not {_VERSION}")
    database.execute("CREATE TABLE IF NOT EXISTS incidents (id TEXT PRIMARY KEY, body BLOB)")
    database.execute(f"PRAGMA user_version = {_VERSION}")


def _rows(incidents: Iterable[Incident]) -> list[tuple[str, bytes]]:
    return [(each.id, _INCIDENT.dump_json(each)) for each in incidents]


def _read(body: object) -> Incident | None:
    """Return a stored incident, or None if another version wrote fields that this one lacks."""
    try:
        return _INCIDENT.validate_json(body if isinstance(body, bytes) else b"")
    except ValidationError:
        return None


def _error(exc: Exception) -> StateError:
    code = getattr(exc, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _UNREADABLE:
        return UnreadableStateError(str(exc))
    if code is not None and code & 0xFF == sqlite3.SQLITE_BUSY:
        return StateError("another exporter uses it")
    return StateError(str(exc))

"""Read a settings file: the settings of the process, and one table for each server."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from poolscope_exporter.settings.declaration import Option
from poolscope_exporter.settings.reading import GivenValue, Reading, label_of
from poolscope_exporter.settings.suggestions import nearest

TABLES = "server"

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The content of a file: settings of the process by field, and the tables of its servers.

    `problems` has one line for each error, with file and key, and without secrets.
    """

    path: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerTables:
    """The arguments of each server with a valid table, and a line for each wrong value."""

    arguments: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]


def read_settings_file(path: str, options: Iterable[Option]) -> SettingsFile:
    """Return the content of the file, with its problems."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return SettingsFile(path, problems=(f"{path}: must be a file that the exporter can read",))
    except tomllib.TOMLDecodeError as exc:
        return SettingsFile(path, problems=(f"{path}: is not TOML{_place(exc)}",))
    tables = content.pop(TABLES, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problem = f"{path}: {TABLES}: write [[{TABLES}]] with two brackets above each server"
        return SettingsFile(path, problems=(problem,))
    keys = [option.field for option in options if option.in_file]
    known = {name: value for name, value in content.items() if name in keys}
    strangers = tuple(_strangers(path, content, keys))
    return SettingsFile(path, known, tuple(tables), strangers)


def read_server_tables(
    file: SettingsFile, options: Iterable[Option], poll_interval_s: float
) -> ServerTables:
    """Return the servers of a file; a table without a poll interval uses the given one."""
    keyed = [replace(each, field=each.in_table) for each in options if each.in_table]
    arguments: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, table in enumerate(file.tables, 1):
        where = f"{file.path}: {TABLES}[{number}]"
        reading = Reading(keyed, dict(_given(table, keyed, where)))
        wrong = [*_table_problems(table, keyed, where), *reading.problems()]
        problems += wrong
        if not wrong:
            arguments.append({"poll_interval_s": poll_interval_s, **named(reading)})
    return ServerTables(tuple(arguments), (*problems, *_twice(arguments, file.path)))


def named(reading: Reading) -> dict[str, Any]:
    """Return the arguments of a server; its default name is its address."""
    found = reading.server_arguments()
    return {"name": str(found["dsn"]), **found}


def _place(exc: tomllib.TOMLDecodeError) -> str:
    """Return the position of the error; the rest of the message may quote a secret."""
    _, found, place = str(exc).rpartition("(at ")
    return f", at {place.removesuffix(')')}" if found else ""


def _given(table: Table, options: Iterable[Option], where: str) -> Iterator[tuple[str, GivenValue]]:
    for option in options:
        if option.field in table:
            value = table[option.field]
            label = label_of(option, f"{where}.{option.field}", value, sign=" = ")
            yield option.field, GivenValue(value, label)


def _table_problems(table: Table, options: Iterable[Option], where: str) -> Iterator[str]:
    yield from _strangers(where, table, [option.field for option in options])
    if "dsn" not in table:
        yield f"{where}: needs a dsn, the address of the server"


def _twice(servers: Iterable[Mapping[str, Any]], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for server in servers:
        if server["name"] in seen:
            yield (
                f"{path}: two servers are named {server['name']}:"
                f" give each a different name ({TABLES}.name)"
            )
        seen.add(server["name"])


def _strangers(where: str, keys: Iterable[str], known: Sequence[str]) -> Iterator[str]:
    for key in keys:
        if key not in known:
            yield f"{where}: {key} is not a setting{nearest(key, known)}"

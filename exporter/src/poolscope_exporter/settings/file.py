"""Read a settings file: the settings of the process, and a table for each of several servers."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from poolscope_exporter.postgres.target import Expects, ServerTarget
from poolscope_exporter.settings import values
from poolscope_exporter.settings.options import BY_FIELD, OPTIONS, nearest

TABLES = "server"
SECRETS = frozenset(option.in_table for option in OPTIONS if option.is_secret)

PARSERS: Mapping[str, Callable[[object], object]] = {
    "name": values.name,
    "dsn": values.dsn,
    "aliases": values.endpoints,
    "password_file": values.readable_file,
    "password_command": values.command,
    "expects": partial(values.choice, Expects),
    "poll_interval_s": values.poll_interval,
    "pgbouncers": values.consoles,
    "reserved_slots": values.slots,
    "cpus": values.cpus,
    "shown_databases": values.names,
    "shown_roles": values.names,
    "proxy_idle_timeout_s": values.proxy_timeout,
}
"""What may stand in the table of a server: the fields of a ServerTarget."""

assert set(PARSERS) == {each.name for each in fields(ServerTarget)}


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a file says: settings of the process by field, and its servers' tables.

    `problems` has a line for each thing that is wrong, with file and key, and no secret.
    """

    path: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    tables: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[str, ...] = ()

    def targets(self, poll_interval_s: float) -> tuple[list[ServerTarget], list[str]]:
        """Return the servers, which are polled so often if they do not say, and what is wrong."""
        targets: list[ServerTarget] = []
        problems: list[str] = []
        for number, table in enumerate(self.tables, 1):
            where = f"{self.path}: {TABLES}[{number}]"
            found, wrong = _parsed(table, where)
            problems += wrong
            if not wrong:
                found.setdefault("name", str(found["dsn"]))
                targets.append(ServerTarget(**{"poll_interval_s": poll_interval_s, **found}))
        return targets, problems + list(_twice(targets, self.path))


def read_settings_file(path: str) -> SettingsFile:
    """Return what the file says; what is wrong with it is in the answer."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return SettingsFile(path, problems=(f"{path}: must be a file that the exporter can read",))
    except tomllib.TOMLDecodeError as exc:
        return SettingsFile(path, problems=(f"{path}: is not TOML{_place(exc)}",))
    tables = content.pop(TABLES, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problem = f"{path}: {TABLES}: write [[{TABLES}]], in two brackets, above each server"
        return SettingsFile(path, problems=(problem,))
    known = {name: value for name, value in content.items() if name in BY_FIELD}
    known.pop("config", None)
    strangers = tuple(_stranger(path, name, BY_FIELD) for name in content if name not in known)
    return SettingsFile(path, known, tuple(tables), strangers)


def _place(exc: tomllib.TOMLDecodeError) -> str:
    """Return where the error is; the rest of the message may quote what is a secret."""
    _, found, place = str(exc).rpartition("(at ")
    return f", at {place.removesuffix(')')}" if found else ""


def _parsed(table: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    problems = [_stranger(where, key, PARSERS) for key in table if key not in PARSERS]
    if "dsn" not in table:
        problems.append(f"{where}: needs a dsn, it names the server")
    for key, parse in PARSERS.items():
        if key not in table:
            continue
        try:
            found[key] = parse(table[key])
        except ValueError as exc:
            shown = "" if key in SECRETS else f" = {_shown(table[key])}"
            problems.append(f"{where}.{key}{shown}: {exc}")
    return found, problems


def _twice(targets: Sequence[ServerTarget], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for target in targets:
        if target.name in seen:
            yield (
                f"{path}: two servers are named {target.name}:"
                f" give each a name of its own ({TABLES}.name)"
            )
        seen.add(target.name)


def _stranger(where: str, key: str, known: Mapping[str, object]) -> str:
    return f"{where}: {key} is not a setting{nearest(key, known)}"


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)

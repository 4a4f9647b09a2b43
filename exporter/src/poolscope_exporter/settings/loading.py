"""Load the settings of `run` from flags, variables and a file; report all problems at once."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from poolscope_exporter.settings.declaration import Option, options_of, server_class
from poolscope_exporter.settings.file import (
    TABLES,
    SettingsFile,
    named,
    read_server_tables,
    read_settings_file,
)
from poolscope_exporter.settings.limits import LimitSettings
from poolscope_exporter.settings.model import HOLD_WITHOUT_SERVER, ExporterSettings
from poolscope_exporter.settings.reading import GivenValue, Reading, label_of

Flags = Mapping[str, str | Sequence[str]]

_Settings = TypeVar("_Settings", bound=ExporterSettings)


class WrongSettingsError(Exception):
    """Invalid settings; `problems` has one line for each, with the cure and without secrets."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def load_settings(flags: Flags) -> ExporterSettings:
    """Return the settings; `flags` (by field) override variables, which override the settings file.

    Raises WrongSettingsError with a line for each wrong value.
    """
    return load_declared(ExporterSettings, flags)


def load_declared(declared: type[_Settings], flags: Flags) -> _Settings:
    """Return the settings that the class declares, from the same sources as `load_settings`."""
    options = options_of(declared)
    environ = _environment()
    file = _file(flags, environ, options)
    given = dict(_given(options, flags, environ, file))
    reading = Reading(options, given)
    # If the interval is invalid, any number will do: the start fails and no server is polled.
    (interval_s,) = reading.known_values("poll_interval_s") or (0.0,)
    tables = read_server_tables(file, options, interval_s)
    problems = [*file.problems, *tables.problems, *_of_single_server(file, options, given)]
    problems += reading.problems()
    if problems:
        raise WrongSettingsError(problems)
    servers = [named(reading)] if "dsn" in given else tables.arguments
    of_server = reading.arguments_for(server_class(declared))
    return declared(
        **reading.arguments_for(declared),
        **{name: of_server[name] for name in HOLD_WITHOUT_SERVER},
        targets=tuple(server_class(declared)(**each) for each in servers),
        limits=LimitSettings(**reading.arguments_for(LimitSettings)).limits,
    )


def _environment() -> Mapping[str, str]:
    """Return the variables that are not empty; their names ignore case."""
    return {name.upper(): text for name, text in os.environ.items() if text}


def _file(flags: Flags, environ: Mapping[str, str], options: Sequence[Option]) -> SettingsFile:
    (config,) = (option for option in options if option.field == "config")
    path = flags.get(config.field) or environ.get(config.variable)
    return read_settings_file(str(path), options) if path else SettingsFile()


def _given(
    options: Sequence[Option], flags: Flags, environ: Mapping[str, str], file: SettingsFile
) -> Iterator[tuple[str, GivenValue]]:
    for option in options:
        value: object
        if option.field in flags:
            value, source = flags[option.field], option.flag or option.variable
        elif option.variable in environ:
            value, source = environ[option.variable], option.variable
        elif option.field in file.settings:
            value, source = file.settings[option.field], f"{file.path}: {option.field}"
        else:
            continue
        yield option.field, GivenValue(value, label_of(option, source, value))


def _of_single_server(
    file: SettingsFile, options: Sequence[Option], given: Mapping[str, GivenValue]
) -> Iterator[str]:
    """Yield a problem for each single-server setting that is given together with server tables."""
    if not file.tables:
        return
    for option in options:
        # The poll interval is the default for all servers with no interval in their table.
        if option.in_table and option.field in given and option.field != "poll_interval_s":
            yield (
                f"{option.names}: is of a single server; {file.path} has several,"
                f" so move it to the [[{TABLES}]] table of its server, as {option.in_table}"
            )

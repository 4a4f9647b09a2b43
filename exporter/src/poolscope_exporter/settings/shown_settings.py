"""Show the settings to people: only values of kinds that cannot have a secret in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.settings.declaration import Option, default_text, options_of
from poolscope_exporter.settings.limits import MIB
from poolscope_exporter.settings.model import ExporterSettings

SET: Final = "set"
"""Shown instead of a value that may have a secret in it."""

_ADDRESSES: Final = frozenset({"forward_to", "trace_url"})
"""URLs whose path may have a key in it, so that only the host is shown."""

_NAMES: Final = frozenset({"name", "shown_databases", "shown_roles"})
_PLAIN: Final = (bool, int, float, Enum, Path)


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One setting of the process, or of one `server`; None is not set."""

    server: str | None
    name: str
    value: str | None
    is_default: bool


def shown_settings(settings: ExporterSettings) -> list[ShownSetting]:
    """Return every setting with its value, in the order of the documents."""
    return list(_shown(settings))


def _shown(settings: ExporterSettings) -> Iterator[ShownSetting]:
    for option in options_of(ExporterSettings):
        if option.in_table is None:
            yield _setting(option, _value(settings, option), None)
        for target in settings.targets if option.in_table else ():
            yield _setting(option, getattr(target, option.attribute), target.name)


def _setting(option: Option, value: Any, server: str | None) -> ShownSetting:
    is_default = value == option.default or value in (None, ())
    return ShownSetting(
        server, option.field, None if value is None else _text(option, value), is_default
    )


def _value(settings: ExporterSettings, option: Option) -> Any:
    """Return the value of a setting of the process; a limit in the unit of its flag."""
    if hasattr(settings, option.attribute):
        return getattr(settings, option.attribute)
    if option.attribute.endswith("_mib"):
        return getattr(settings.limits, option.attribute.removesuffix("_mib")) // MIB
    return getattr(settings.limits, option.attribute)


def _text(option: Option, value: Any) -> str:
    """Return a value as text; of an unknown kind, only that it is set."""
    if isinstance(value, Dsn | Endpoint):
        return _address(value)
    if isinstance(value, tuple | frozenset) and all(isinstance(e, Dsn | Endpoint) for e in value):
        return ", ".join(sorted(map(_address, value)))
    if isinstance(value, _PLAIN) and not option.is_secret:
        return default_text(value) or str(value)
    return _known_text(option, value)


def _known_text(option: Option, value: Any) -> str:
    if option.field in _ADDRESSES:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.hostname}"
    if option.attribute in _NAMES:
        return value if isinstance(value, str) else ", ".join(sorted(value))
    return SET


def _address(value: Dsn | Endpoint) -> str:
    """Return the host and port; the text of a DSN has no user, database or password."""
    return str(value) if isinstance(value, Dsn) else f"{value.address}:{value.port}"

"""Read all settings of the instrumentation at once, from arguments and the environment."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from poolscope.catalogue import METRICS, SCOPE
from poolscope.recording.traces.slow_notes import SLOW_WAIT_S

DEFAULT_ENDPOINT = "http://127.0.0.1:9737"

_SOURCE = "source"
"""The key of a dataclass field's metadata that holds its Source."""

_T = TypeVar("_T")


class SettingsError(ValueError):
    """Some settings are invalid; the message lists each of them with the accepted values."""


class MetricsDestination(StrEnum):
    """The publisher of the aggregates: the exporter, or a library of the application."""

    AUTO = "auto"
    EXPORTER = "exporter"
    PROVIDER = "provider"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of a setting: an argument of `instrument()`, or else an environment variable.

    `accepted` completes the error message for a value that `parse` rejects with ValueError.
    """

    field: str
    argument: str
    variable: str
    parse: Callable[[str], object]
    accepted: str
    is_secret: bool


def setting(
    variable: str,
    parse: Callable[[str], _T],
    accepted: str,
    *,
    default: _T,
    argument: str = "",
    is_secret: bool = False,
) -> _T:
    """Declare the origin of a dataclass field's value; the arguments are those of Source."""
    source = Source("", argument, variable, parse, accepted, is_secret)
    return field(default=default, metadata={_SOURCE: source})


def _endpoints(value: str) -> tuple[str, ...]:
    endpoints = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    parts = [urlsplit(endpoint) for endpoint in endpoints]
    if not parts or any(p.scheme not in ("http", "https") or not p.hostname for p in parts):
        raise ValueError
    if any(p.username or p.password or p.query or p.fragment for p in parts):
        raise ValueError
    _ = [p.port for p in parts]  # reading a port that is not a number raises ValueError
    return endpoints


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        number = float(value)
        if not low <= number <= high:
            raise ValueError
        return number

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = int(value)
        if not low <= number <= high:
            raise ValueError
        return number

    return parse


def _boolean(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    try:
        return words[value.lower()]
    except KeyError:
        raise ValueError from None


def _metric_names(value: str) -> frozenset[str]:
    names = frozenset(part.strip() for part in value.split(",") if part.strip())
    if not names <= {metric.name for metric in METRICS if metric.scope == SCOPE}:
        raise ValueError
    return names


def _pool_names(value: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.rpartition("=") for part in value.split(",") if part.strip()]
    names = tuple((key.strip(), name.strip()) for key, _, name in pairs)
    if not all(key and name for key, name in names):
        raise ValueError
    return names


def _file(value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise ValueError
    return path


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process; times in seconds.

    `read_settings` reads and checks every field that is declared here, without another change.
    """

    endpoints: tuple[str, ...] = setting(
        "POOLSCOPE_ENDPOINT",
        _endpoints,
        "one or more base URLs such as http://127.0.0.1:9737, separated by commas, "
        "without user, password or query",
        default=(DEFAULT_ENDPOINT,),
        argument="endpoint",
    )
    metrics: MetricsDestination = setting(
        "POOLSCOPE_METRICS",
        MetricsDestination,
        "auto, exporter, provider or prometheus",
        default=MetricsDestination.AUTO,
    )
    push_interval_s: float = setting(
        "POOLSCOPE_PUSH_INTERVAL_S", _number(0.2, 300), "0.2 to 300", default=5.0
    )
    held_after_s: float = setting(
        "POOLSCOPE_HELD_AFTER_S", _number(0, 3600), "0 to 3600", default=1.0
    )
    look: bool = setting("POOLSCOPE_LOOK", _boolean, "true or false", default=True)
    profile_rate: float = setting(
        "POOLSCOPE_PROFILE_RATE", _number(0, 100), "0 to 100", default=10.0
    )
    log_held_after_s: float = setting(
        "POOLSCOPE_LOG_HELD_AFTER_S", _number(0, 86_400), "0 (off) to 86400", default=0.0
    )
    wait_span_after_s: float = setting(
        "POOLSCOPE_WAIT_SPAN_AFTER_S",
        _number(0, 3600),
        "0 to 3600; 0 for no spans",
        default=SLOW_WAIT_S,
    )
    max_routes: int = setting(
        "POOLSCOPE_MAX_ROUTES", _integer(1, 10_000), "1 to 10000", default=100
    )
    max_pools: int = setting("POOLSCOPE_MAX_POOLS", _integer(1, 1000), "1 to 1000", default=50)
    pool_names: tuple[tuple[str, str], ...] = setting(
        "POOLSCOPE_POOL_NAMES",
        _pool_names,
        "lines, files or databases with names, such as shop/db.py:14=orders,reports_db=reports",
        default=(),
    )
    token: str | None = setting(
        "POOLSCOPE_TOKEN", str, "a bearer token", default=None, is_secret=True
    )
    token_file: Path | None = setting(
        "POOLSCOPE_TOKEN_FILE", _file, "the path of a readable file", default=None
    )
    ca_file: Path | None = setting(
        "POOLSCOPE_CA_FILE", _file, "the path of a readable PEM file", default=None
    )
    service_name: str | None = setting("OTEL_SERVICE_NAME", str, "a name", default=None)
    metrics_off: frozenset[str] = setting(
        "POOLSCOPE_METRICS_OFF",
        _metric_names,
        "names of poolscope metrics such as db.client.connection.count, separated by commas",
        default=frozenset(),
    )
    disabled: bool = setting("POOLSCOPE_DISABLED", _boolean, "true or false", default=False)

    def __repr__(self) -> str:
        """Show the destination only: a token must not reach a log."""
        return f"Settings(endpoints={self.endpoints}, metrics={self.metrics})"

    def read_token(self) -> str | None:
        """Return the bearer token; reads a token file at each call, so that you can rotate it."""
        if self.token_file is not None:
            return self.token_file.read_text(encoding="utf-8").strip()
        return self.token


def sources() -> tuple[Source, ...]:
    """Return the origin of each setting, in the order of the fields."""
    return tuple(
        replace(source, field=each.name, argument=source.argument or each.name)
        for each in fields(Settings)
        if isinstance(source := each.metadata[_SOURCE], Source)
    )


def read_settings(
    arguments: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> Settings:
    """Combine arguments and environment variables; an argument takes precedence.

    An argument that is None and a variable that is empty count as not given. Raises a
    `SettingsError` that lists every invalid value.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for source in sources():
        given = _given(source, arguments, environment)
        if given is None:
            continue
        name, text = given
        try:
            values[source.field] = source.parse(text)
        except ValueError:
            shown = "(hidden)" if source.is_secret else repr(text)
            problems.append(f"{name}={shown}: accepted is {source.accepted}")
    if problems:
        raise SettingsError("poolscope cannot start, invalid settings:\n  " + "\n  ".join(problems))
    if values.get("metrics") is MetricsDestination.PROMETHEUS:
        values.setdefault("endpoints", ())  # pushes only to an exporter that is named
    return Settings(**values)


def _given(
    source: Source, arguments: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[str, str] | None:
    argument = arguments.get(source.argument)
    if argument is not None:
        return source.argument, _text(argument)
    text = environment.get(source.variable, "")
    return (source.variable, text) if text else None


def _text(argument: object) -> str:
    if isinstance(argument, Mapping):
        return ",".join(f"{key}={value}" for key, value in argument.items())
    if isinstance(argument, (list, tuple)):
        return ",".join(str(part) for part in argument)
    return str(argument)

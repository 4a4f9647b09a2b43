"""Read the settings of `run` from flags and variables; name everything that is wrong at once."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from poolscope_exporter.adapters.dsn import Dsn, parse_console_dsn, parse_dsn
from poolscope_exporter.core.addresses import is_loopback
from poolscope_exporter.core.limits import Limits
from poolscope_exporter.core.sessions import Endpoint
from poolscope_exporter.limit_settings import LIMIT_SETTINGS, limit_reader, limits_from

PREFIX = "POOLSCOPE_"

VARIABLES_OF_THE_APP = frozenset(
    PREFIX + name
    for name in (
        "ENDPOINT",
        "METRICS",
        "PUSH_INTERVAL_S",
        "HELD_AFTER_S",
        "MAX_ROUTES",
        "MAX_POOLS",
        "DISABLED",
        "CA_FILE",
    )
)
"""Variables that the application's side reads: both often share one environment."""

LOG_LEVELS = ("debug", "info", "warning", "error")
MIN_POLL_INTERVAL_S = 0.2
MAX_POLL_INTERVAL_S = 300.0
MAX_PORT = 65535
MAX_CPUS = 4096.0


@dataclass(frozen=True, slots=True)
class Option:
    """One setting, as a flag and as a variable; only a secret has no flag."""

    field: str
    flag: str | None
    metavar: str
    help: str
    is_secret: bool = False
    is_repeatable: bool = False

    @property
    def variable(self) -> str:
        """Return the environment variable's name."""
        return PREFIX + self.field.upper()

    @property
    def names(self) -> str:
        """Return the names under which a user may set this."""
        return f"{self.flag} or {self.variable}" if self.flag else self.variable


OPTIONS = (
    Option(
        "dsn",
        "--dsn",
        "DSN",
        "the PostgreSQL server to watch; without it the exporter only receives",
        is_secret=True,
    ),
    Option(
        "pgbouncers",
        "--pgbouncer",
        "DSN",
        "the console (database pgbouncer) of a PgBouncer between apps and server; repeatable",
        is_secret=True,
        is_repeatable=True,
    ),
    Option(
        "poll_interval_s", "--poll-interval", "SECONDS", "time between two looks at the server (5)"
    ),
    Option(
        "listen", "--listen", "HOST:PORT", "where /metrics and the page are (0.0.0.0:9736); 0 = any"
    ),
    Option("otlp_listen", "--otlp-listen", "HOST:PORT", "where apps push to (127.0.0.1:9737)"),
    Option("token", None, "TOKEN", "bearer token of pushes, page and API", is_secret=True),
    Option("token_file", "--token-file", "FILE", "file that holds the bearer token"),
    Option("server_name", "--server-name", "NAME", "the server's name in metrics (its host:port)"),
    Option(
        "server_aliases",
        "--server-alias",
        "HOST:PORT",
        "another address by which apps reach the server; repeatable",
        is_repeatable=True,
    ),
    Option(
        "server_cpus", "--server-cpus", "NUMBER", "CPUs of the server, to compare its load with"
    ),
    Option("log_level", "--log-level", "LEVEL", f"one of {', '.join(LOG_LEVELS)} (info)"),
    *(Option(each.field, each.flag, each.metavar, each.text) for each in LIMIT_SETTINGS),
)

_BY_FIELD = {option.field: option for option in OPTIONS}


def names_of(field: str) -> str:
    """Return the flag and the variable that set a field."""
    return _BY_FIELD[field].names


class WrongSettingsError(Exception):
    """Some settings are wrong; `problems` has one line for each, with the cure and no secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def _interval(value: object) -> float:
    message = f"must be seconds from {MIN_POLL_INTERVAL_S:g} to {MAX_POLL_INTERVAL_S:g}"
    try:
        seconds = float(str(value))
    except ValueError:
        raise ValueError(message) from None
    if not MIN_POLL_INTERVAL_S <= seconds <= MAX_POLL_INTERVAL_S:
        raise ValueError(message)
    return seconds


def _dsn(value: object) -> Dsn:
    return parse_dsn(str(value))


def _endpoint(text: str, default_host: str | None = None) -> Endpoint:
    """Return `host:port`, `[v6]:port`, and with a default host `:port` or `port` as well."""
    host, _, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or default_host or ""
    if not host or not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
        form = "host:port, :port or port" if default_host else "host:port"
        raise ValueError(f"must be {form}, the port from 0 to {MAX_PORT}")
    return Endpoint(host, int(port))


def _listen(value: object) -> Endpoint:
    return _endpoint(str(value), "0.0.0.0")  # noqa: S104 - Prometheus scrapes from elsewhere


def _otlp_listen(value: object, info: ValidationInfo) -> Endpoint:
    endpoint = _endpoint(str(value), "127.0.0.1")
    # A token that is itself wrong is absent here, and has its own line already.
    is_known = "token" in info.data and "token_file" in info.data
    has_token = bool(info.data.get("token") or info.data.get("token_file"))
    if is_known and not has_token and not is_loopback(endpoint.address):
        raise ValueError(
            "receives from other machines, which needs a token:"
            " set POOLSCOPE_TOKEN or --token-file, or listen on 127.0.0.1"
        )
    return endpoint


def _token_file(value: object, info: ValidationInfo) -> Path:
    if info.data.get("token"):
        raise ValueError("POOLSCOPE_TOKEN is set as well; keep one of the two")
    path = Path(str(value))
    try:
        token = _read_token(path)
    except (OSError, UnicodeDecodeError):
        raise ValueError("must be a file that the exporter can read") from None
    if not token:
        raise ValueError("is empty; it must hold the token")
    return path


def _read_token(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _aliases(value: object) -> tuple[Endpoint, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    assert isinstance(parts, Iterable)
    return tuple(_endpoint(str(part)) for part in parts)


def _pgbouncers(value: object) -> tuple[Dsn, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    assert isinstance(parts, Iterable)
    texts = [str(part) for part in parts]
    found = [_console(text, f"{n} of {len(texts)} ") for n, text in enumerate(texts, 1)]
    if len({str(dsn) for dsn in found}) < len(found):
        raise ValueError("names a host and port twice; every console is asked once")
    return tuple(found)


def _console(text: str, which: str) -> Dsn:
    try:
        return parse_console_dsn(text)
    except ValueError as exc:
        raise ValueError(f"{which}{exc}") from None


def _cpus(value: object) -> float:
    message = f"must be a number, more than 0 and at most {MAX_CPUS:g}"
    try:
        cpus = float(str(value))
    except ValueError:
        raise ValueError(message) from None
    if not 0 < cpus <= MAX_CPUS:
        raise ValueError(message)
    return cpus


def _limit(value: object, info: ValidationInfo) -> float:
    return limit_reader(str(info.field_name))(value)


def _log_level(value: object) -> str:
    level = str(value).lower()
    if level not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return level


_Limit = Annotated[float, BeforeValidator(_limit)] | None


class Settings(BaseSettings):
    """Everything that `run` needs to know; wrong values never get this far."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,
        extra="ignore",
        frozen=True,
        validate_default=False,
    )

    # The order matters: `otlp_listen` asks whether there is a token.
    token: SecretStr | None = None
    token_file: Annotated[Path, BeforeValidator(_token_file)] | None = None
    dsn: Annotated[Dsn, BeforeValidator(_dsn)] | None = None
    pgbouncers: Annotated[tuple[Dsn, ...], BeforeValidator(_pgbouncers)] = ()
    poll_interval_s: Annotated[float, BeforeValidator(_interval)] = 5.0
    listen: Annotated[Endpoint, BeforeValidator(_listen)] = Endpoint("0.0.0.0", 9736)  # noqa: S104
    otlp_listen: Annotated[Endpoint, BeforeValidator(_otlp_listen)] = Endpoint("127.0.0.1", 9737)
    server_name: str | None = None
    server_aliases: Annotated[tuple[Endpoint, ...], BeforeValidator(_aliases)] = ()
    server_cpus: Annotated[float, BeforeValidator(_cpus)] | None = None
    log_level: Annotated[str, BeforeValidator(_log_level)] = "info"
    max_body_mib: _Limit = None
    max_decompressed_mib: _Limit = None
    header_timeout_s: _Limit = None
    body_timeout_s: _Limit = None
    max_connections: _Limit = None
    max_instances: _Limit = None
    max_pools_per_instance: _Limit = None
    max_series_per_pool: _Limit = None
    max_series: _Limit = None
    max_routes_per_pool: _Limit = None
    max_held_checkouts: _Limit = None

    @property
    def limits(self) -> Limits:
        """Return the limits of the receiver."""
        return limits_from({each.field: getattr(self, each.field) for each in LIMIT_SETTINGS})

    @property
    def server(self) -> str | None:
        """Return the server's name in metrics, or None where no server is configured."""
        return (self.server_name or str(self.dsn)) if self.dsn else None

    def bearer_token(self) -> str | None:
        """Return the token that callers must show, or None where there is none."""
        if self.token_file:
            return _read_token(self.token_file)
        return self.token.get_secret_value() if self.token else None


def load_settings(flags: Mapping[str, str | Sequence[str]]) -> Settings:
    """Return the settings; `flags` (by field) win over variables, and those over defaults.

    Raises WrongSettingsError with a line for each wrong value.
    """
    try:
        return Settings(**flags)  # type: ignore[arg-type]  # the validators take text
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    raise WrongSettingsError([_problem(error, flags) for error in errors])


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """Return a warning for each `POOLSCOPE_*` variable that nobody reads: often a typing error."""
    known = VARIABLES_OF_THE_APP | {option.variable for option in OPTIONS}
    strangers = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [f"{name} is not a setting of poolscope{nearest(name, known)}" for name in strangers]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` where a known name is close, else nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def _problem(error: ErrorDetails, flags: Mapping[str, object]) -> str:
    option = _BY_FIELD[str(error["loc"][0])]
    source = option.flag if option.field in flags and option.flag else option.variable
    message = error["msg"].removeprefix("Value error, ")
    if option.is_secret:
        return f"{source}: {message}"
    return f"{source}={_shown(error['input'])}: {message}"


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

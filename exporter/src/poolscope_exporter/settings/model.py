"""Read the settings of `run` from flags, variables and a file; name all that is wrong at once."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from poolscope_exporter.core.checks.thresholds import DEFAULTS, Thresholds
from poolscope_exporter.core.fleet.limits import Limits
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.model.endpoints import Endpoint, is_loopback
from poolscope_exporter.forwarding.batch import ForwardAs
from poolscope_exporter.forwarding.upstream import UpstreamTarget
from poolscope_exporter.listeners.tokens import Keyring, parse_tokens, read_tokens
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.postgres.target import DEFAULT_POLL_INTERVAL_S, Expects, ServerTarget
from poolscope_exporter.settings import values
from poolscope_exporter.settings.file import TABLES, SettingsFile, read_settings_file
from poolscope_exporter.settings.limit_options import LIMIT_SETTINGS, limit_reader, limits_from
from poolscope_exporter.settings.options import (
    BY_FIELD,
    LOG_LEVELS,
    OPTIONS,
    PREFIX,
    VARIABLES_OF_THE_APP,
    names_of,
    nearest,
)

Flags = Mapping[str, str | Sequence[str]]


class WrongSettingsError(Exception):
    """Some settings are wrong; `problems` has one line for each, with the cure and no secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def _listen(value: object) -> Endpoint:
    return values.endpoint(value, "0.0.0.0")  # noqa: S104 - Prometheus scrapes from elsewhere


def _otlp_listen(value: object, info: ValidationInfo) -> Endpoint:
    endpoint = values.endpoint(value, "127.0.0.1")
    if is_loopback(endpoint.address):
        return endpoint
    # What is itself wrong is absent here, and has its own line already.
    is_known = "token" in info.data and "token_file" in info.data
    if is_known and not (info.data["token"] or info.data["token_file"]):
        raise ValueError(
            "receives from other machines, which needs a token:"
            " set POOLSCOPE_TOKEN or --token-file, or listen on 127.0.0.1"
        )
    is_known = "otlp_tls_key" in info.data and "insecure_otlp" in info.data
    if is_known and not (info.data["otlp_tls_key"] or info.data["insecure_otlp"]):
        raise ValueError(
            "receives tokens from other machines, which needs TLS: set --otlp-tls-cert and"
            " --otlp-tls-key, or --insecure-otlp where a mesh does it, or listen on 127.0.0.1"
        )
    return endpoint


def _token_file(value: object, info: ValidationInfo) -> Path:
    if info.data.get("token"):
        raise ValueError("POOLSCOPE_TOKEN is set as well; keep one of the two")
    return values.token_file(value)


def _key(value: object, info: ValidationInfo) -> Path | None:
    """Return the private key, which needs its certificate, and is needed where there is one."""
    cert_field = str(info.field_name).replace("_key", "_cert")
    if cert_field not in info.data:
        return None
    cert = info.data[cert_field]
    if (cert is None) != (value is None):
        raise ValueError(f"goes with {names_of(cert_field)}; set both or none")
    if value is None:
        return None
    key = values.readable_file(value)
    values.check_certificate(cert, key)
    return key


def _forward_to(value: object, info: ValidationInfo) -> str:
    found = values.url(value)
    parts, own = urlsplit(found), info.data.get("otlp_listen")
    is_here = is_loopback(parts.hostname or "")
    if own and is_here and own.port and parts.port == own.port:
        raise ValueError("is this exporter's own receiver; it would forward to itself for ever")
    if parts.scheme == "http" and not is_here and info.data.get("forward_token_file"):
        raise ValueError("would send the token of --forward-token-file in the clear; use https")
    return found


def _limit(value: object, info: ValidationInfo) -> float:
    return limit_reader(str(info.field_name))(value)


def _log_level(value: object) -> str:
    level = str(value).lower()
    if level not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return level


_File = Annotated[Path, BeforeValidator(values.readable_file)]
_Key = Annotated[Path | None, BeforeValidator(_key), Field(validate_default=True)]
_Names = Annotated[frozenset[str], BeforeValidator(values.names)]
_Limit = Annotated[float, BeforeValidator(_limit)] | None


class ExporterSettings(BaseSettings):
    """Everything that `run` needs to know; wrong values never get this far."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,
        extra="ignore",
        frozen=True,
        validate_default=False,
        hide_input_in_errors=True,
    )

    # The order matters: what asks for another setting comes after it.
    role: Annotated[Role, BeforeValidator(partial(values.choice, Role))] = Role.STANDALONE
    token: Annotated[SecretStr, BeforeValidator(values.token)] | None = None
    token_file: Annotated[Path, BeforeValidator(_token_file)] | None = None
    dsn: Annotated[Dsn, BeforeValidator(values.dsn)] | None = None
    password_file: _File | None = None
    password_command: Annotated[tuple[str, ...], BeforeValidator(values.command)] | None = Field(
        default=None, repr=False
    )
    expects: Annotated[Expects, BeforeValidator(partial(values.choice, Expects))] = Expects.ANY
    pgbouncers: Annotated[tuple[Dsn, ...], BeforeValidator(values.consoles)] = ()
    poll_interval_s: Annotated[float, BeforeValidator(values.poll_interval)] = (
        DEFAULT_POLL_INTERVAL_S
    )
    tls_cert: _File | None = None
    tls_key: _Key = None
    otlp_tls_cert: _File | None = None
    otlp_tls_key: _Key = None
    insecure_otlp: Annotated[bool, BeforeValidator(values.switch)] = False
    listen: Annotated[Endpoint, BeforeValidator(_listen)] = Endpoint("0.0.0.0", 9736)  # noqa: S104 - as above
    otlp_listen: Annotated[Endpoint, BeforeValidator(_otlp_listen)] = Endpoint("127.0.0.1", 9737)
    server_name: str | None = None
    server_aliases: Annotated[tuple[Endpoint, ...], BeforeValidator(values.endpoints)] = ()
    server_cpus: Annotated[float, BeforeValidator(values.cpus)] | None = None
    reserved_slots: Annotated[int, BeforeValidator(values.slots)] = 0
    shown_databases: _Names | None = None
    shown_roles: _Names | None = None
    proxy_idle_timeout_s: Annotated[float, BeforeValidator(values.proxy_timeout)] | None = None
    forward_token_file: _File | None = None
    forward_ca_file: _File | None = None
    forward_as: Annotated[ForwardAs, BeforeValidator(partial(values.choice, ForwardAs))] = (
        ForwardAs.OTLP
    )
    forward_to: Annotated[str, BeforeValidator(_forward_to)] | None = None
    thresholds: Annotated[Thresholds, BeforeValidator(values.thresholds)] = DEFAULTS
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
    # Of the settings file alone: a validated value, with no variable that could set it.
    tables: tuple[ServerTarget, ...] = Field(default=(), validation_alias=f"[[{TABLES}]]")

    @property
    def targets(self) -> tuple[ServerTarget, ...]:
        """Return the servers to watch."""
        if self.dsn is None:
            return self.tables
        single = ServerTarget(
            name=self.server_name or str(self.dsn),
            dsn=self.dsn,
            aliases=self.server_aliases,
            password_file=self.password_file,
            password_command=self.password_command,
            expects=self.expects,
            poll_interval_s=self.poll_interval_s,
            pgbouncers=self.pgbouncers,
            reserved_slots=self.reserved_slots,
            cpus=self.server_cpus,
            shown_databases=self.shown_databases,
            shown_roles=self.shown_roles,
            proxy_idle_timeout_s=self.proxy_idle_timeout_s,
        )
        return (single,)

    @property
    def upstream(self) -> UpstreamTarget | None:
        """Return where to forward to, None where nothing is forwarded."""
        if self.forward_to is None:
            return None
        return UpstreamTarget(self.forward_to, self.forward_token_file, self.forward_ca_file)

    @property
    def limits(self) -> Limits:
        """Return the limits of the receiver."""
        return limits_from({each.field: getattr(self, each.field) for each in LIMIT_SETTINGS})

    def keyring(self) -> Keyring | None:
        """Return the tokens that callers may show, or None where there are none."""
        if self.token_file:
            return Keyring(read_tokens(self.token_file), self.token_file)
        return Keyring(parse_tokens(self.token.get_secret_value())) if self.token else None


def load_settings(flags: Flags) -> ExporterSettings:
    """Return the settings; `flags` (by field) win over variables, those over the settings file.

    Raises WrongSettingsError with a line for each wrong value.
    """
    file = _file(flags)
    given = {**_not_in_environment(file.settings), **flags}
    interval_s = _interval(given)
    targets, problems = file.targets(interval_s)
    problems = [*file.problems, *problems, *_of_single_server(file, given)]
    try:
        settings = ExporterSettings(**given, **{f"[[{TABLES}]]": tuple(targets)})  # type: ignore[arg-type]  # the validators take text
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        raise WrongSettingsError(
            [*problems, *(_problem(error, flags, file) for error in errors)]
        ) from None
    if problems:
        raise WrongSettingsError(problems)
    return settings


def unknown_variables(environ: Iterable[str]) -> list[str]:
    """Return a warning for each `POOLSCOPE_*` variable that nobody reads: often a typing error."""
    known = VARIABLES_OF_THE_APP | {option.variable for option in OPTIONS}
    strangers = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [f"{name} is not a setting of poolscope{nearest(name, known)}" for name in strangers]


def _file(flags: Flags) -> SettingsFile:
    path = flags.get("config") or os.environ.get(BY_FIELD["config"].variable)
    return read_settings_file(str(path)) if path else SettingsFile()


def _not_in_environment(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field: value
        for field, value in settings.items()
        if not os.environ.get(BY_FIELD[field].variable)
    }


def _interval(given: Mapping[str, Any]) -> float:
    """Return how often a server is polled that does not say; a wrong value is told elsewhere."""
    text = given.get("poll_interval_s") or os.environ.get(BY_FIELD["poll_interval_s"].variable)
    try:
        return values.poll_interval(text) if text else DEFAULT_POLL_INTERVAL_S
    except ValueError:
        return DEFAULT_POLL_INTERVAL_S


def _of_single_server(file: SettingsFile, given: Mapping[str, Any]) -> list[str]:
    """Return a problem for each setting of one server that stands beside the tables of several."""
    if not file.tables:
        return []
    # The interval is the one that holds for all the servers that have none of their own.
    options = [o for o in OPTIONS if o.in_table and o.field != "poll_interval_s"]
    return [
        f"{option.names}: is of a single server; {file.path} has several,"
        f" so write it as {option.in_table} into the [[{TABLES}]] that it belongs to"
        for option in options
        if option.field in given or os.environ.get(option.variable)
    ]


def _problem(error: ErrorDetails, flags: Flags, file: SettingsFile) -> str:
    option = BY_FIELD[str(error["loc"][0])]
    source = option.variable
    if option.field in flags and option.flag:
        source = option.flag
    elif option.field in _not_in_environment(file.settings):
        source = f"{file.path}: {option.field}"
    message = error["msg"].removeprefix("Value error, ")
    if option.is_secret or error["input"] is None:
        return f"{source}: {message}"
    return f"{source}={_shown(error['input'])}: {message}"


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

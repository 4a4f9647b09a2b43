"""Declare the settings of `run`; those of servers and of limits are in other modules."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.core.capacity.largest_fleet import AS_SEEN, LargestFleet
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Thresholds
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.idle_timeouts import IdleTimeout, declared
from poolscope_exporter.forwarding.batch import ForwardAs
from poolscope_exporter.forwarding.upstream import UpstreamTarget
from poolscope_exporter.listeners.tokens import Keyring, parse_tokens, read_tokens
from poolscope_exporter.polling.dsn import Dsn
from poolscope_exporter.settings import relations, values
from poolscope_exporter.settings.declaration import group, option
from poolscope_exporter.settings.limits import LimitSettings
from poolscope_exporter.settings.servers import ServerTarget

HOLD_WITHOUT_SERVER: Final = (
    "pgbouncers",
    "poll_interval_s",
    "proxy_idle_timeout_s",
    "nat_idle_timeout_s",
)
"""Settings of one server that the exporter process also reads, even if no server is configured."""


class LogLevel(StrEnum):
    """The lowest level of messages that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSettings:
    """The settings of `run`; the order of the fields is that of the help text and the documents.

    An option is declared only here. Flags, variables, keys of the settings file, help text,
    docs/exporter.md and the schema of the Helm chart derive from this declaration.
    """

    config: Path | None = option(
        "--config",
        "FILE",
        "settings file in TOML; several servers need a [[server]] table each",
        values.path,
        default=None,
        in_file=False,
        in_chart=False,
    )
    role: Role = option(
        "--role",
        "ROLE",
        "pods that this exporter judges",
        values.Choice(
            Role,
            {Role.STANDALONE: "every pod that pushes here", Role.SIDECAR: "only this pod"},
        ),
        default=Role.STANDALONE,
    )
    targets: tuple[ServerTarget, ...] = group(ServerTarget, is_table=True)
    listen: Endpoint = option(
        "--listen",
        "HOST:PORT",
        "address of /metrics and the page; port 0 takes any free port",
        values.Address("0.0.0.0"),  # noqa: S104 - Prometheus scrapes from elsewhere
        default=Endpoint("0.0.0.0", 9736),  # noqa: S104 - as above
        in_chart=False,
    )
    otlp_listen: Endpoint = option(
        "--otlp-listen",
        "HOST:PORT",
        "address to which apps push",
        relations.OTLP_LISTEN,
        default=Endpoint("127.0.0.1", 9737),
        in_chart=False,
    )
    token: str | None = option(
        None,
        "TOKEN",
        "bearer token of pushes, page and API",
        values.token,
        default=None,
        is_secret=True,
        in_chart=False,
    )
    token_file: Path | None = option(
        "--token-file",
        "FILE",
        "file with the bearer tokens, one per line, each optionally followed by its owner's name;"
        " read again when it changes",
        relations.TOKEN_FILE,
        default=None,
        in_chart=False,
    )
    tls_cert: Path | None = option(
        "--tls-cert",
        "FILE",
        "certificate chain of /metrics, page and API",
        values.readable_file,
        default=None,
        in_chart=False,
    )
    tls_key: Path | None = option(
        "--tls-key",
        "FILE",
        "private key of --tls-cert",
        relations.TLS_KEY,
        default=None,
        in_chart=False,
    )
    otlp_tls_cert: Path | None = option(
        "--otlp-tls-cert",
        "FILE",
        "certificate chain of the OTLP receiver",
        values.readable_file,
        default=None,
        in_chart=False,
    )
    otlp_tls_key: Path | None = option(
        "--otlp-tls-key",
        "FILE",
        "private key of --otlp-tls-cert",
        relations.OTLP_TLS_KEY,
        default=None,
        in_chart=False,
    )
    insecure_otlp: bool = option(
        "--insecure-otlp",
        "",
        "reception from other machines without TLS, if a mesh or a proxy encrypts",
        values.switch,
        default=False,
        is_switch=True,
        in_chart=False,
    )
    limits: Limits = group(LimitSettings)
    forward_to: str | None = option(
        "--forward-to",
        "URL",
        "OTLP/HTTP endpoint that receives a copy of each push; /v1/metrics is appended",
        relations.FORWARD_TO,
        default=None,
    )
    forward_as: ForwardAs = option(
        "--forward-as",
        "KIND",
        "content to forward",
        values.Choice(
            ForwardAs,
            {
                ForwardAs.OTLP: "without held checkouts, for any backend",
                ForwardAs.POOLSCOPE: "everything, for another exporter",
            },
        ),
        default=ForwardAs.OTLP,
    )
    forward_token_file: Path | None = option(
        "--forward-token-file",
        "FILE",
        "file with the bearer token for --forward-to, read again for each request",
        values.readable_file,
        default=None,
    )
    forward_ca_file: Path | None = option(
        "--forward-ca-file",
        "FILE",
        "certificates of the authorities to trust at --forward-to",
        values.readable_file,
        default=None,
        default_text="the system's",
    )
    thresholds: Thresholds = option(
        "--thresholds",
        "FILE",
        "copy of alerts/thresholds.toml with your numbers",
        values.thresholds,
        default=DEFAULTS,
        default_text="the documented numbers",
    )
    largest: LargestFleet = option(
        "--max-processes",
        "[SERVICE=]NUMBER",
        "the autoscaler's maximum of processes of a service, for check C7; without SERVICE, of"
        " every other service",
        values.largest_fleet,
        field="max_processes",
        default=AS_SEEN,
        default_text="the number of running processes",
        is_repeatable=True,
    )
    trace_url: str | None = option(
        "--trace-url",
        "URL",
        "address of a trace in your tracing tool, with {trace_id} in it; the page links each held"
        " checkout of a trace to it",
        values.trace_url,
        default=None,
    )
    state_dir: Path | None = option(
        "--state-dir",
        "DIR",
        "directory that keeps the incidents over a restart; one exporter per directory",
        values.folder,
        default=None,
        default_text="only in memory",
        in_chart=False,
    )
    log_level: LogLevel = option(
        "--log-level",
        "LEVEL",
        "lowest level of messages to log",
        values.Choice(LogLevel),
        default=LogLevel.INFO,
    )
    # These are HOLD_WITHOUT_SERVER, which ServerTarget declares as options.
    pgbouncers: tuple[Dsn, ...]
    poll_interval_s: float
    proxy_idle_timeout_s: float | None
    nat_idle_timeout_s: float | None

    @property
    def configured_idle(self) -> tuple[IdleTimeout, ...]:
        """Return the idle time-outs that apply to the path to every server."""
        return declared(self.proxy_idle_timeout_s, self.nat_idle_timeout_s)

    @property
    def upstream(self) -> UpstreamTarget | None:
        """Return the endpoint to forward to, or None if nothing is forwarded."""
        if self.forward_to is None:
            return None
        return UpstreamTarget(self.forward_to, self.forward_token_file, self.forward_ca_file)

    def keyring(self) -> Keyring | None:
        """Return the accepted tokens, or None if none is configured."""
        if self.token_file:
            return Keyring(read_tokens(self.token_file))
        return Keyring(parse_tokens(self.token)) if self.token else None

"""Name every setting once: its flag, its variable, and what it means."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from poolscope_exporter.settings.limit_options import LIMIT_SETTINGS

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


@dataclass(frozen=True, slots=True)
class Option:
    """One setting, as a flag and as a variable; only a secret has no flag.

    `of_server`: it describes the one server of `--dsn`; several servers have it in their tables,
    under the name `in_table`.
    """

    field: str
    flag: str | None
    metavar: str
    help: str
    is_secret: bool = False
    is_repeatable: bool = False
    is_switch: bool = False
    in_table: str | None = None

    @property
    def of_server(self) -> bool:
        """Tell whether this is a setting of one server."""
        return self.in_table is not None

    @property
    def variable(self) -> str:
        """Return the environment variable's name."""
        return PREFIX + self.field.upper()

    @property
    def names(self) -> str:
        """Return the names under which a user may set this."""
        return f"{self.flag} or {self.variable}" if self.flag else self.variable


_OF_SERVER = (
    Option(
        "dsn",
        "--dsn",
        "DSN",
        "the PostgreSQL server to watch; without it the exporter only receives",
        is_secret=True,
        in_table="dsn",
    ),
    Option(
        "password_file",
        "--password-file",
        "FILE",
        "file with the password of the DSN's role, read anew for each connection",
        in_table="password_file",
    ),
    Option(
        "password_command",
        "--password-command",
        "COMMAND",
        "prints the password (an IAM or Entra token), run anew, without a shell, for each"
        " connection",
        is_secret=True,
        in_table="password_command",
    ),
    Option(
        "expects",
        "--expects",
        "ROLE",
        "the server's role in replication: primary, replica or any (any)",
        in_table="expects",
    ),
    Option(
        "pgbouncers",
        "--pgbouncer",
        "DSN",
        "the console (database pgbouncer) of a PgBouncer between apps and server; repeatable",
        is_secret=True,
        is_repeatable=True,
        in_table="pgbouncers",
    ),
    Option(
        "poll_interval_s",
        "--poll-interval",
        "SECONDS",
        "time between two looks at the server, 0.2 to 300 (5)",
        in_table="poll_interval_s",
    ),
    Option(
        "server_name",
        "--server-name",
        "NAME",
        "the server's name in metrics (its host:port)",
        in_table="name",
    ),
    Option(
        "server_aliases",
        "--server-alias",
        "HOST:PORT",
        "another address by which apps reach the server; repeatable",
        is_repeatable=True,
        in_table="aliases",
    ),
    Option(
        "server_cpus",
        "--server-cpus",
        "NUMBER",
        "CPUs of the server, to compare its load with",
        in_table="cpus",
    ),
    Option(
        "reserved_slots",
        "--reserved-slots",
        "NUMBER",
        "sessions that a managed service keeps for itself, beyond the server's own settings (0)",
        in_table="reserved_slots",
    ),
    Option(
        "shown_databases",
        "--show-database",
        "NAME",
        "show only sessions of this database, count the others; repeatable (all)",
        is_repeatable=True,
        in_table="shown_databases",
    ),
    Option(
        "shown_roles",
        "--show-role",
        "NAME",
        "show only sessions of this role, count the others; repeatable (all)",
        is_repeatable=True,
        in_table="shown_roles",
    ),
    Option(
        "proxy_idle_timeout_s",
        "--proxy-idle-timeout",
        "SECONDS",
        "idle time-out of a proxy in between that cannot be asked (RDS Proxy, Cloud SQL)",
        in_table="proxy_idle_timeout_s",
    ),
)

_OF_FORWARDING = (
    Option(
        "forward_to",
        "--forward-to",
        "URL",
        "OTLP/HTTP endpoint that gets what arrives here, /v1/metrics appended",
    ),
    Option(
        "forward_as",
        "--forward-as",
        "KIND",
        "otlp: without held checkouts, for any backend; poolscope: whole, for another exporter"
        " (otlp)",
    ),
    Option(
        "forward_token_file",
        "--forward-token-file",
        "FILE",
        "file with the bearer token for it, read anew for each request",
    ),
    Option(
        "forward_ca_file",
        "--forward-ca-file",
        "FILE",
        "certificates of the authorities to trust there (the system's)",
    ),
)

OPTIONS = (
    Option(
        "config",
        "--config",
        "FILE",
        "settings file in TOML, with a [[server]] table for each of several servers",
    ),
    Option("role", "--role", "ROLE", "standalone, or sidecar: of its own pod only (standalone)"),
    *_OF_SERVER,
    Option(
        "listen", "--listen", "HOST:PORT", "where /metrics and the page are (0.0.0.0:9736); 0 = any"
    ),
    Option("otlp_listen", "--otlp-listen", "HOST:PORT", "where apps push to (127.0.0.1:9737)"),
    Option("token", None, "TOKEN", "bearer token of pushes, page and API", is_secret=True),
    Option(
        "token_file",
        "--token-file",
        "FILE",
        "file with the bearer tokens, one per line, each followed by a name if it has one;"
        " read again when it changes",
    ),
    Option("tls_cert", "--tls-cert", "FILE", "certificate chain of /metrics, page and API"),
    Option("tls_key", "--tls-key", "FILE", "private key of --tls-cert"),
    Option("otlp_tls_cert", "--otlp-tls-cert", "FILE", "certificate chain of the OTLP receiver"),
    Option("otlp_tls_key", "--otlp-tls-key", "FILE", "private key of --otlp-tls-cert"),
    Option(
        "insecure_otlp",
        "--insecure-otlp",
        "",
        "receive from other machines without TLS, because a mesh or a proxy does it",
        is_switch=True,
    ),
    *(Option(each.field, each.flag, each.metavar, each.text) for each in LIMIT_SETTINGS),
    *_OF_FORWARDING,
    Option(
        "thresholds",
        "--thresholds",
        "FILE",
        "alerts/thresholds.toml with numbers of your own (those of the guides)",
    ),
    Option("log_level", "--log-level", "LEVEL", f"one of {', '.join(LOG_LEVELS)} (info)"),
)

BY_FIELD = {option.field: option for option in OPTIONS}


def names_of(field: str) -> str:
    """Return the flag and the variable that set a field."""
    return BY_FIELD[field].names


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` where a known name is close, else nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""

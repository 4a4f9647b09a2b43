"""Keep the address and credentials of a database such that no message can print them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from poolscope_exporter.polling.service_file import service_parameters

MALFORMED = (
    "is not a PostgreSQL DSN; write postgresql://user@host:5432/database or"
    " 'host=… port=… user=… dbname=…', and percent-encode special characters of a password"
)

CONSOLE = "pgbouncer"
"""The database name under which PgBouncer's admin console answers."""

_SQLALCHEMY_DRIVER = re.compile(r"^(postgres(?:ql)?)\+\w+://")
_PARAMETERS_WITH_SECRETS = (
    "password",
    "sslpassword",
    "scram_client_key",
    "scram_server_key",
    "oauth_client_secret",
)

REFUSED = {"replication": "a replication connection runs no query about sessions"}
"""The keywords of libpq with which the exporter cannot work, and why."""
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Dsn:
    """The address and credentials of a server; only `reveal` returns its text with the password."""

    _text: str = field(repr=False)
    host: str
    port: str
    secrets: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def parameter(self, name: str) -> str:
        """Return one parameter, from the text or from its service; empty if neither has it."""
        return _parameters(self._text).get(name, "")

    def reveal(self) -> str:
        """Return the connection string for libpq, including the password."""
        return self._text

    def redact(self, message: str) -> str:
        """Return the message with every secret of this DSN masked."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def parse_dsn(text: str) -> Dsn:
    """Return the DSN; a URL may name an SQLAlchemy driver (`postgresql+asyncpg://`).

    Raises ValueError with a message that repeats no part of the text. The message of libpq would
    quote the part that it could not read, which is often a part of the password.
    """
    text = _SQLALCHEMY_DRIVER.sub(r"\1://", text.strip())
    try:
        parameters = _parameters(text)
    except psycopg.Error:
        raise ValueError(MALFORMED) from None
    if not conninfo_to_dict(text) or _swallowed_a_password(text):
        raise ValueError(MALFORMED)
    for keyword in REFUSED.keys() & parameters.keys():
        raise ValueError(f"must not set {keyword}: {REFUSED[keyword]}")
    host = _with_default("host", parameters) or _with_default("hostaddr", parameters)
    port = _with_default("port", parameters)
    if not all(_is_port(each) for each in port.split(",")):
        raise ValueError(MALFORMED)
    secrets = (parameters.get(name, "") for name in _PARAMETERS_WITH_SECRETS)
    return Dsn(text, host or "localhost", port or "5432", tuple(filter(None, secrets)))


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters of the text, and those of its service for the missing ones."""
    own = {name: str(value) for name, value in conninfo_to_dict(text).items() if value is not None}
    service = own.get("service") or os.environ.get("PGSERVICE", "")
    return {**(service_parameters(service) if service else {}), **own}


def parse_console_dsn(text: str) -> Dsn:
    """Return the DSN of a PgBouncer console, which is the database `pgbouncer`.

    Raises ValueError like `parse_dsn`, and also if the text names another database or two hosts.
    """
    dsn = parse_dsn(text)
    database = conninfo_to_dict(dsn.reveal()).get("dbname") or CONSOLE
    if database != CONSOLE:
        raise ValueError(f"must name the database {CONSOLE}, which is PgBouncer's console")
    if "," in dsn.host + dsn.port:
        raise ValueError("must name one host: each PgBouncer has a separate console")
    return replace(dsn, _text=make_conninfo(dsn.reveal(), dbname=CONSOLE))


def at_address(dsn: Dsn, address: str) -> Dsn:
    """Return the DSN for one address of its host.

    The host name stays because certificates name it.
    """
    return replace(dsn, _text=make_conninfo(dsn.reveal(), hostaddr=address))


def _with_default(name: str, parameters: Mapping[str, str]) -> str:
    """Return a parameter, or libpq's value for it from its environment variable."""
    if value := parameters.get(name):
        return value
    for option in Conninfo.get_defaults():
        if option.keyword == name.encode() and option.val:
            return option.val.decode()
    return ""


def _swallowed_a_password(text: str) -> bool:
    """Return whether a URL holds a bare `@` or `/` that splits the password.

    For libpq, the second half would be a part of the host's or the database's name. Both names
    appear in messages.
    """
    _, is_url, rest = text.partition("://")
    authority, _, path = rest.partition("/")
    return bool(is_url) and (authority.count("@") > 1 or "@" in path.partition("?")[0])


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_PORT)

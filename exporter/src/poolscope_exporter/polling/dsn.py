"""Keep the address and credentials of a database where no message can print them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

MALFORMED = (
    "is not a PostgreSQL DSN; write postgresql://user@host:5432/database or"
    " 'host=… port=… user=… dbname=…', and percent-encode special characters of a password"
)

CONSOLE = "pgbouncer"
"""The database under which PgBouncer answers about itself."""

_SQLALCHEMY_DRIVER = re.compile(r"^(postgres(?:ql)?)\+\w+://")
_PARAMETERS_WITH_SECRETS = ("password", "sslpassword")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Dsn:
    """How to reach one server; `reveal` is the only way to its text, which may hold a password."""

    _text: str = field(repr=False)
    host: str
    port: str
    secrets: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def reveal(self) -> str:
        """Return the connection string for libpq, password included."""
        return self._text

    def redact(self, message: str) -> str:
        """Return the message with every secret of this DSN masked."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def parse_dsn(text: str) -> Dsn:
    """Return the DSN; a URL may name an SQLAlchemy driver (`postgresql+asyncpg://`).

    Raises ValueError with a message that repeats no part of the text: libpq's own message would
    quote the piece that it could not read, which is often a piece of the password.
    """
    text = _SQLALCHEMY_DRIVER.sub(r"\1://", text.strip())
    try:
        parameters = conninfo_to_dict(text)
    except psycopg.Error:
        raise ValueError(MALFORMED) from None
    if not parameters or _swallowed_a_password(text):
        raise ValueError(MALFORMED)
    host, port = (_with_default(name, parameters) for name in ("host", "port"))
    if not all(_is_port(each) for each in port.split(",")):
        raise ValueError(MALFORMED)
    secrets = (str(parameters.get(name) or "") for name in _PARAMETERS_WITH_SECRETS)
    return Dsn(text, host or "localhost", port or "5432", tuple(filter(None, secrets)))


def parse_console_dsn(text: str) -> Dsn:
    """Return the DSN of a PgBouncer's console, which is its database `pgbouncer`.

    Raises ValueError as `parse_dsn` does, and where the text names another database or two hosts.
    """
    dsn = parse_dsn(text)
    database = conninfo_to_dict(dsn.reveal()).get("dbname") or CONSOLE
    if database != CONSOLE:
        raise ValueError(f"must name the database {CONSOLE}: that is PgBouncer's console")
    if "," in dsn.host + dsn.port:
        raise ValueError("must name one host: every bouncer has a console of its own")
    return replace(dsn, _text=make_conninfo(dsn.reveal(), dbname=CONSOLE))


def at_address(dsn: Dsn, address: str) -> Dsn:
    """Return the DSN of one address of its host; the name stays, for certificates bear it."""
    return replace(dsn, _text=make_conninfo(dsn.reveal(), hostaddr=address))


def _with_default(name: str, parameters: Mapping[str, object]) -> str:
    """Return a parameter, or what libpq takes for it from its environment variable."""
    if value := parameters.get(name):
        return str(value)
    for option in Conninfo.get_defaults():
        if option.keyword == name.encode() and option.val:
            return option.val.decode()
    return ""


def _swallowed_a_password(text: str) -> bool:
    """Tell whether a URL holds a bare `@` or `/` that cuts the password in two.

    libpq would take the second half for a part of the host's or the database's name, and both
    appear in messages.
    """
    _, is_url, rest = text.partition("://")
    authority, _, path = rest.partition("/")
    return bool(is_url) and (authority.count("@") > 1 or "@" in path.partition("?")[0])


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_PORT)

"""Turn the text of a setting into its value; a ValueError states the accepted values."""

import re
import shlex
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from poolscope_exporter.core.capacity.largest_fleet import LargestFleet
from poolscope_exporter.core.checks.thresholds import Thresholds, WrongThresholdsError
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.trace_links import TRACE_ID_PLACEHOLDER
from poolscope_exporter.listeners.tokens import parse_tokens, read_tokens
from poolscope_exporter.polling.dsn import Dsn, parse_console_dsn, parse_dsn
from poolscope_exporter.settings.thresholds_file import load_thresholds

MAX_PORT = 65_535

_PLAIN_URL = re.compile(r"[!#-&(-;=?-Z_a-z~%\[\]]+")
"""What an address may contain: ASCII without spaces, quotes, braces, <, > and backslashes."""

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Seconds:
    """A parser of a number of seconds within a range."""

    least: float
    most: float

    @property
    def accepts(self) -> str:
        """Return the accepted values as a phrase for the help text."""
        return f"{self.least:g} to {self.most:g}"

    def __call__(self, value: object) -> float:
        """Return the seconds; raise ValueError with the accepted values."""
        return _number(value, self.least, self.most, f"must be seconds from {self.accepts}")


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A parser of a whole number within a range."""

    least: int
    most: int

    @property
    def accepts(self) -> str:
        """Return the accepted values as a phrase for the help text."""
        return f"{self.least} to {self.most}"

    def __call__(self, value: object) -> int:
        """Return the number; raise ValueError with the accepted values."""
        message = f"must be a whole number from {self.accepts}"
        try:
            number = int(str(value))
        except ValueError:
            raise ValueError(message) from None
        if not self.least <= number <= self.most:
            raise ValueError(message)
        return number


@dataclass(frozen=True, slots=True)
class PositiveNumber:
    """A parser of a number above 0, with or without a fraction."""

    most: float

    @property
    def accepts(self) -> str:
        """Return the accepted values as a phrase for the help text."""
        return f"more than 0 and at most {self.most:g}"

    def __call__(self, value: object) -> float:
        """Return the number; raise ValueError with the accepted values."""
        message = f"must be a number, {self.accepts}"
        found = _number(value, 0.0, self.most, message)
        if not found:
            raise ValueError(message)
        return found


@dataclass(frozen=True, slots=True)
class Choice(Generic[_Choice]):
    """A parser of the member of a closed set; `meanings` explains members with unclear names."""

    members: type[_Choice]
    meanings: Mapping[_Choice, str] = field(default_factory=dict)

    @property
    def accepts(self) -> str:
        """Return the accepted values as a phrase for the help text."""
        if self.meanings:
            return "; ".join(f"{each} = {meaning}" for each, meaning in self.meanings.items())
        *others, last = self.members
        return f"{', '.join(others)} or {last}"

    def __call__(self, value: object) -> _Choice:
        """Return the member; raise ValueError with the accepted values."""
        try:
            return self.members(str(value).strip().lower())
        except ValueError:
            raise ValueError(f"must be one of {', '.join(self.members)}") from None


@dataclass(frozen=True, slots=True)
class Address:
    """A parser of an address to listen on; the host is optional."""

    default_host: str

    def __call__(self, value: object) -> Endpoint:
        """Return the address; raise ValueError with the accepted form."""
        return endpoint(value, self.default_host)


_MOST_PROCESSES = WholeNumber(1, 100_000)


def switch(value: object) -> bool:
    """Return whether a switch is on."""
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return text in _TRUE


def name(value: object) -> str:
    """Return a name; an empty one is rejected."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a name")
    return value.strip()


def names(value: object) -> frozenset[str]:
    """Return one or more names, from a list or separated by commas."""
    found = frozenset(part.strip() for part in _parts(value))
    if not found or "" in found:
        raise ValueError("must be names, separated by commas")
    return found


def largest_fleet(value: object) -> LargestFleet:
    """Return the largest number of processes per service, from `NAME=N`, and `N` for the others."""
    named: dict[str, int] = {}
    others: list[int] = []
    for part in [str(value)] if isinstance(value, int) else _parts(value):
        service, equals, number = part.rpartition("=")
        most = _MOST_PROCESSES(number.strip())
        if not equals:
            others.append(most)
        elif not service.strip() or service.strip() in named:
            raise ValueError("must be NUMBER or SERVICE=NUMBER, each service once")
        else:
            named[service.strip()] = most
    if len(others) > 1:
        raise ValueError("has two numbers without a service; write SERVICE=NUMBER for all but one")
    return LargestFleet(tuple(sorted(named.items())), others[0] if others else None)


def dsn(value: object) -> Dsn:
    """Return the address and credentials of a server."""
    return parse_dsn(str(value))


def consoles(value: object) -> tuple[Dsn, ...]:
    """Return the addresses of PgBouncer consoles, from a list or separated by commas."""
    texts = list(_parts(value))
    found = [_console(text, f"{n} of {len(texts)} ") for n, text in enumerate(texts, 1)]
    if len({str(dsn) for dsn in found}) < len(found):
        raise ValueError("has the same host and port twice; remove one")
    return tuple(found)


def endpoint(value: object, default_host: str | None = None) -> Endpoint:
    """Return `host:port` or `[v6]:port`; with a default host, `:port` or `port` as well."""
    host, _, port = str(value).strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or default_host or ""
    if not host or not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
        form = "host:port, :port or port" if default_host else "host:port"
        raise ValueError(f"must be {form}, the port from 0 to {MAX_PORT}")
    return Endpoint(host, int(port))


def endpoints(value: object) -> tuple[Endpoint, ...]:
    """Return addresses, from a list or separated by commas."""
    return tuple(endpoint(part) for part in _parts(value))


def command(value: object) -> tuple[str, ...]:
    """Return the arguments of a command, from a list or split as by a shell."""
    try:
        found = tuple(shlex.split(value)) if isinstance(value, str) else tuple(_parts(value))
    except ValueError:
        raise ValueError("has an unclosed quotation mark") from None
    if not found or not found[0]:
        raise ValueError("must be a command, with its arguments")
    return found


def path(value: object) -> Path:
    """Return the path of a file that is read later."""
    return Path(str(value))


def folder(value: object) -> Path:
    """Return the path of a directory, which may not exist yet."""
    found = Path(str(value))
    if not str(value).strip() or (found.exists() and not found.is_dir()):
        raise ValueError("must be a directory, or a path at which one can be made")
    return found


def readable_file(value: object) -> Path:
    """Return the path of a file that can be read."""
    file = Path(str(value))
    try:
        with file.open("rb"):
            return file
    except OSError:
        raise ValueError("must be a file that the exporter can read") from None


def token(value: object) -> str:
    """Return the single token in a variable."""
    found = parse_tokens(str(value))
    if len(found) > 1 or found[0].text != str(value).strip():
        raise ValueError("must be one token without spaces; for several, use --token-file")
    return found[0].text


def token_file(value: object) -> Path:
    """Return the path of a file with tokens."""
    file = Path(str(value))
    read_tokens(file)
    return file


def thresholds(value: object) -> Thresholds:
    """Return the thresholds with the changes from a file."""
    try:
        return load_thresholds(Path(str(value)))
    except WrongThresholdsError as exc:
        raise ValueError("; ".join(exc.problems)) from None


def check_certificate(cert: Path, key: Path) -> None:
    """Raise ValueError unless certificate and key are valid and match."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without this, OpenSSL would ask on the terminal for the password of a protected key.
        context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError):
        raise ValueError(
            "must be the private key of the certificate, both in PEM and without a password"
        ) from None


def trace_url(value: object) -> str:
    """Return a template of a trace's page: an address of http or https with one `{trace_id}`."""
    text = str(value)
    message = (
        "must be http://HOST/... or https://HOST/... with {trace_id} once after the host,"
        " without user, password, spaces or quotes"
    )
    before, placeholder, after = text.partition(TRACE_ID_PLACEHOLDER)
    try:
        parts = urlsplit(before)
        _ = parts.port  # reading a port that is not a number raises ValueError
    except ValueError:
        raise ValueError(message) from None
    is_address = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    is_after_host = parts.path.startswith("/")
    is_plain = _PLAIN_URL.fullmatch(before + after)
    if not (placeholder and is_address and is_after_host and is_plain):
        raise ValueError(message)
    return text


def url(value: object) -> str:
    """Return the URL of an OTLP endpoint; one with credentials is rejected."""
    message = "must be http://host:port or https://host, without user, query and fragment"
    try:
        parts = urlsplit(str(value).strip())
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(message) from None
    if not is_good or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(message)
    return parts.geturl()


def _number(value: object, least: float, most: float, message: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError(message) from None
    if not least <= number <= most:
        raise ValueError(message)
    return number


def _parts(value: object) -> Iterable[str]:
    """Return the parts of a list, or of a text separated by commas."""
    if isinstance(value, str):
        return value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError("must be text, or a list of it")
    return list(value)


def _console(text: str, which: str) -> Dsn:
    try:
        return parse_console_dsn(text)
    except ValueError as exc:
        raise ValueError(f"{which}{exc}") from None

"""Turn the text of a setting into its value; a ValueError says what it must be."""

import shlex
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from poolscope_exporter.core.checks.thresholds import Thresholds, WrongThresholdsError
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.listeners.tokens import parse_tokens, read_tokens
from poolscope_exporter.polling.dsn import Dsn, parse_console_dsn, parse_dsn
from poolscope_exporter.settings.thresholds_file import load_thresholds

MAX_PORT = 65_535

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Seconds:
    """Reads a number of seconds within a range."""

    least: float
    most: float

    @property
    def accepts(self) -> str:
        """Return the accepted values, in words for the help text."""
        return f"{self.least:g} to {self.most:g}"

    def __call__(self, value: object) -> float:
        """Return the seconds; raises ValueError with what is accepted."""
        return _number(value, self.least, self.most, f"must be seconds from {self.accepts}")


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """Reads a whole number within a range."""

    least: int
    most: int

    @property
    def accepts(self) -> str:
        """Return the accepted values, in words for the help text."""
        return f"{self.least} to {self.most}"

    def __call__(self, value: object) -> int:
        """Return the number; raises ValueError with what is accepted."""
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
    """Reads a number that may be a fraction, but not 0."""

    most: float

    @property
    def accepts(self) -> str:
        """Return the accepted values, in words for the help text."""
        return f"more than 0 and at most {self.most:g}"

    def __call__(self, value: object) -> float:
        """Return the number; raises ValueError with what is accepted."""
        message = f"must be a number, {self.accepts}"
        found = _number(value, 0.0, self.most, message)
        if not found:
            raise ValueError(message)
        return found


@dataclass(frozen=True, slots=True)
class Choice(Generic[_Choice]):
    """Reads the member of a closed set; `meanings` explain the members where their names do not."""

    members: type[_Choice]
    meanings: Mapping[_Choice, str] = field(default_factory=dict)

    @property
    def accepts(self) -> str:
        """Return the accepted values, in words for the help text."""
        if self.meanings:
            return "; ".join(f"{each} = {meaning}" for each, meaning in self.meanings.items())
        *others, last = self.members
        return f"{', '.join(others)} or {last}"

    def __call__(self, value: object) -> _Choice:
        """Return the member; raises ValueError with what is accepted."""
        try:
            return self.members(str(value).strip().lower())
        except ValueError:
            raise ValueError(f"must be one of {', '.join(self.members)}") from None


@dataclass(frozen=True, slots=True)
class Address:
    """Reads an address to listen on, where the host may be left out."""

    default_host: str

    def __call__(self, value: object) -> Endpoint:
        """Return the address; raises ValueError with what is accepted."""
        return endpoint(value, self.default_host)


def switch(value: object) -> bool:
    """Return whether something is on."""
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return text in _TRUE


def name(value: object) -> str:
    """Return a name that is none of nothing."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a name")
    return value.strip()


def names(value: object) -> frozenset[str]:
    """Return names, from a list or separated by commas; at least one."""
    found = frozenset(part.strip() for part in _parts(value))
    if not found or "" in found:
        raise ValueError("must be names, separated by commas")
    return found


def dsn(value: object) -> Dsn:
    """Return the address and credentials of a server."""
    return parse_dsn(str(value))


def consoles(value: object) -> tuple[Dsn, ...]:
    """Return the addresses of PgBouncers' consoles, from a list or separated by commas."""
    texts = list(_parts(value))
    found = [_console(text, f"{n} of {len(texts)} ") for n, text in enumerate(texts, 1)]
    if len({str(dsn) for dsn in found}) < len(found):
        raise ValueError("names a host and port twice; every console is asked once")
    return tuple(found)


def endpoint(value: object, default_host: str | None = None) -> Endpoint:
    """Return `host:port`, `[v6]:port`, and with a default host `:port` or `port` as well."""
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
    """Return the arguments of a command, from a list or as a shell would split them."""
    try:
        found = tuple(shlex.split(value)) if isinstance(value, str) else tuple(_parts(value))
    except ValueError:
        raise ValueError("has a quotation mark that is never closed") from None
    if not found or not found[0]:
        raise ValueError("must be a command, with its arguments")
    return found


def path(value: object) -> Path:
    """Return a path, of a file that is read later."""
    return Path(str(value))


def readable_file(value: object) -> Path:
    """Return the path of a file that can be read."""
    file = Path(str(value))
    try:
        with file.open("rb"):
            return file
    except OSError:
        raise ValueError("must be a file that the exporter can read") from None


def token(value: object) -> str:
    """Return the one token of a variable."""
    found = parse_tokens(str(value))
    if len(found) > 1 or found[0].text != str(value).strip():
        raise ValueError("must be one token without spaces; several go into a --token-file")
    return found[0].text


def token_file(value: object) -> Path:
    """Return the path of a file that holds tokens."""
    file = Path(str(value))
    read_tokens(file)
    return file


def thresholds(value: object) -> Thresholds:
    """Return the thresholds as a file changes them."""
    try:
        return load_thresholds(Path(str(value)))
    except WrongThresholdsError as exc:
        raise ValueError("; ".join(exc.problems)) from None


def check_certificate(cert: Path, key: Path) -> None:
    """Raise ValueError unless the two files make a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a password would otherwise make OpenSSL ask on the terminal.
        context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError):
        raise ValueError(
            "must be the private key of the certificate, both in PEM and without a password"
        ) from None


def url(value: object) -> str:
    """Return the URL of an OTLP endpoint, without credentials."""
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
    """Return the parts of a list, or of text between commas."""
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

"""Bind the two addresses of the exporter, and name them."""

import socket
from dataclasses import dataclass
from pathlib import Path

from poolscope_exporter.core.model.endpoints import Endpoint


class CannotListenError(Exception):
    """The exporter cannot listen on an address; the message names the setting to change."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets, bound before the servers start, so that a port in use is one clear error."""

    web: socket.socket
    otlp: socket.socket


def address_of(listener: socket.socket, key: Path | None) -> str:
    """Return where to reach a listener, with a key by HTTPS."""
    address, port = listener.getsockname()[:2]
    on_all = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach a wildcard
    suffix = " (on every address of this machine)" if address in on_all else ""
    return f"{'https' if key else 'http'}://{_host(on_all.get(address, address))}:{port}{suffix}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def bind_address(endpoint: Endpoint, names: str) -> socket.socket:
    """Bind an address; `names` are those of its setting. Raises CannotListenError."""
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    try:
        return socket.create_server((endpoint.address, endpoint.port), family=family, backlog=512)
    except OSError as exc:
        raise CannotListenError(
            f"cannot listen on {_host(endpoint.address)}:{endpoint.port}:"
            f" {exc.strerror or exc}; choose another address with {names}"
        ) from exc

"""Make the HTTP server behind each listener, with its limits."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import uvicorn
from fastapi import FastAPI

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.listeners.bounded_http import ClosedCounts, bounded_protocol
from poolscope_exporter.listeners.open_files import raise_file_limit
from poolscope_exporter.listeners.tls_gate import TlsGate, server_context

DRAIN_S = 3
KEEP_ALIVE_S = 75
"""Longer than usual push and scrape intervals: a close while a sender writes costs it a push."""

_log = logging.getLogger("poolscope_exporter")


def allow_connections(limits: Limits, certificates: Iterable[Path | None]) -> Limits:
    """Raise the limit of open files; return the limits with as many connections as it allows.

    Each listener has its certificate, or None without TLS.
    """
    wanted = limits.max_connections
    # With TLS, as many peers again may be in the handshake.
    rooms = sum(2 if cert else 1 for cert in certificates)
    allowed = max(1, raise_file_limit(rooms * wanted) // rooms)
    if allowed < wanted:
        _log.warning(
            "the limit of open files allows only %d connections per listener, not %d; with "
            "more, clients may get 503: raise the limit (ulimit -n), or lower --max-connections",
            allowed,
            wanted,
        )
    return replace(limits, max_connections=allowed)


def protocol_of(
    limits: Limits, closed: ClosedCounts, cert: Path | None, key: Path | None
) -> Callable[..., asyncio.BaseProtocol]:
    """Return the protocol of a listener, with TLS if there is a certificate."""
    bounded = bounded_protocol(limits, closed)
    if cert is None:
        return bounded
    return TlsGate(bounded, server_context(cert, key), limits, closed)


def server_of(app: FastAPI, protocol: Callable[..., asyncio.BaseProtocol]) -> uvicorn.Server:
    """Return the server of an application."""
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", protocol),
        access_log=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        proxy_headers=False,  # the peer's address decides about access, so no header may change it
        server_header=False,
        headers=[("X-Content-Type-Options", "nosniff")],
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
    )
    return _Server(config)


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve`.

    With handlers of uvicorn, two servers raise a signal twice, and SIGINT cuts open requests.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers, and raise no signal again at the end."""
        yield

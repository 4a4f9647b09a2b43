"""Compress the answers for readers that accept it."""

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from poolscope_exporter.listeners.compression import (
    GZIP,
    LEAST_BYTES,
    VARY,
    accepts_gzip,
    gzip_parts,
)
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.handlers.responses import Handler


def compress(handler: Handler, threads: DaemonThreads) -> Handler:
    """Return the handler with a body that is compressed where that is accepted and worth it.

    One thread compresses, so many readers of a large page cost at most one core. A stream is left
    as it is: `/metrics` compresses its text once for all scrapers.
    """

    async def compressing(request: Request) -> Response:
        response = await handler(request)
        if isinstance(response, StreamingResponse) or len(response.body) < LEAST_BYTES:
            return response
        response.headers.update(VARY)
        if wants_gzip(request):
            response.body = await threads.run(_gzipped, response.body)
            response.headers["Content-Encoding"] = GZIP
            response.headers["Content-Length"] = str(len(response.body))
        return response

    return compressing


def wants_gzip(request: Request) -> bool:
    """Return whether the reader accepts gzip."""
    return accepts_gzip(request.headers.get("accept-encoding", ""))


def _gzipped(body: bytes) -> bytes:
    return b"".join(gzip_parts([body]))

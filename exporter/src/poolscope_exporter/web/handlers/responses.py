"""Make the responses of the web listener, with the headers that protect a browser."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}

Handler = Callable[[Request], Awaitable[Response]]


def json_response(content: dict[str, Any]) -> Response:
    """Return the content as JSON."""
    return JSONResponse(content, headers=SECURITY_HEADERS)


def html_response(page: str) -> Response:
    """Return a page."""
    return Response(page, media_type="text/html", headers=SECURITY_HEADERS)

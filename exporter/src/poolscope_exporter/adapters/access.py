"""Decide who may call: whoever shows the token, or, without one, this machine alone."""

import hmac
from enum import Enum

from fastapi import Request

from poolscope_exporter.core.addresses import is_loopback

FORWARDED = ("forwarded", "x-forwarded-for")


class Access(Enum):
    """Whether a request may be answered."""

    GRANTED = "granted"
    NEEDS_TOKEN = "needs_token"  # noqa: S105 - the name of a refusal
    NEEDS_LOOPBACK = "needs_loopback"


def shows_token(request: Request, token: str) -> bool:
    """Tell whether the request bears the token; takes equally long for every wrong one."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    is_equal = hmac.compare_digest(shown.strip().encode(), token.encode())
    return is_equal and scheme.lower() == "bearer"


def access_of(request: Request, token: str | None) -> Access:
    """Return whether the request may see who holds what."""
    if token is not None:
        return Access.GRANTED if shows_token(request, token) else Access.NEEDS_TOKEN
    return Access.GRANTED if _comes_from_here(request) else Access.NEEDS_LOOPBACK


def _comes_from_here(request: Request) -> bool:
    """Tell whether a program on this machine asks, for itself.

    A proxy on this machine asks for others, and a web page elsewhere can make a browser here ask
    under a name of its own that resolves to 127.0.0.1; neither counts.
    """
    client = request.client.host if request.client else ""
    is_forwarded = any(name in request.headers for name in FORWARDED)
    return is_loopback(client) and is_loopback(request.url.hostname or "") and not is_forwarded

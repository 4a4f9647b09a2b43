"""Decide who may call: whoever shows the token, or, without one, this machine alone."""

import base64
from enum import Enum

from fastapi import Request

from poolscope_exporter.core.model.endpoints import is_loopback
from poolscope_exporter.listeners.tokens import Keyring

FORWARDED = ("forwarded", "x-forwarded-for")


class Access(Enum):
    """Whether a request may be answered."""

    GRANTED = "granted"
    NEEDS_TOKEN = "needs_token"  # noqa: S105 - the name of a refusal
    NEEDS_LOOPBACK = "needs_loopback"


def token_of(request: Request) -> str:
    """Return the bearer token that the request shows, empty where it shows none."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""


def _password_of(request: Request) -> str:
    """Return the password that the request shows, empty where it shows none.

    A browser asks its user for one, and sends no other header: it is the token, of any user name.
    """
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        _, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except ValueError:  # no base64, or no UTF-8
        return ""
    return password


def access_of(request: Request, keyring: Keyring | None) -> Access:
    """Return whether the request may see who holds what."""
    if keyring is not None:
        owner = keyring.owner_of_token(token_of(request) or _password_of(request))
        return Access.NEEDS_TOKEN if owner is None else Access.GRANTED
    return Access.GRANTED if _comes_from_here(request) else Access.NEEDS_LOOPBACK


def _comes_from_here(request: Request) -> bool:
    """Return whether a program on this machine asks, for itself.

    A proxy on this machine asks for others, and a web page elsewhere can make a browser here ask
    under a name of its own that resolves to 127.0.0.1; neither counts.
    """
    client = request.client.host if request.client else ""
    is_forwarded = any(name in request.headers for name in FORWARDED)
    return is_loopback(client) and is_loopback(request.url.hostname or "") and not is_forwarded

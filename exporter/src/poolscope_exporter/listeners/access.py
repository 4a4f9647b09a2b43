"""Decide who may call: any caller with the token, or only this machine if there is no token."""

import base64
import re
from enum import Enum
from typing import Final

from fastapi import Request

from poolscope_exporter.core.model.endpoints import is_loopback
from poolscope_exporter.listeners.tokens import Keyring, TokenUse

FORWARDED = (
    "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
    "cf-connecting-ip", "true-client-ip",
)  # fmt: skip
"""Headers that proxies add; a proxy that adds none looks like a program on this machine."""

_HOST: Final = re.compile(r"(?P<name>[^:@/\\\[\]\s]+|\[[0-9a-f:.]+\])(:[0-9]*)?", re.IGNORECASE)
"""The `Host` header: a name or an address, with or without a port."""


class Access(Enum):
    """Whether a request may be answered."""

    GRANTED = "granted"
    NEEDS_TOKEN = "needs_token"  # noqa: S105 - the name of a refusal
    NEEDS_LOOPBACK = "needs_loopback"


def token_of(request: Request) -> str:
    """Return the bearer token of the request, or "" if it has none."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""


def _password_of(request: Request) -> str:
    """Return the password of the request, or "" if it has none.

    A browser asks its user for a password and sends no other header. The token is the password,
    with any user name.
    """
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        _, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except ValueError:  # not base64, or not UTF-8
        return ""
    return password


def access_of(request: Request, keyring: Keyring | None) -> Access:
    """Return whether the request may see held checkouts."""
    if keyring is not None:
        owner = keyring.owner_of_token(token_of(request) or _password_of(request), TokenUse.READ)
        return Access.NEEDS_TOKEN if owner is None else Access.GRANTED
    return Access.GRANTED if _comes_from_here(request) else Access.NEEDS_LOOPBACK


def names_this_machine(request: Request) -> bool:
    """Return whether the request was sent to a loopback address or to `localhost`.

    A web page can give the name of its site the address 127.0.0.1 (DNS rebinding). To a browser,
    the listener is then a part of that site. The browser sends the site's name as `Host`.
    """
    host = request.headers.get("host")
    if host is None:  # HTTP/1.0: no browser
        return True
    # Not the URL of the request: for a malformed header, that has the listener's own address.
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found["name"].strip("[]").lower())


def _comes_from_here(request: Request) -> bool:
    """Return whether a program on this machine sends the request for itself.

    A proxy on this machine sends requests for others, so none that it adds a header to is accepted.
    """
    client = request.client.host if request.client else ""
    is_forwarded = any(name in request.headers for name in FORWARDED)
    return is_loopback(client) and names_this_machine(request) and not is_forwarded

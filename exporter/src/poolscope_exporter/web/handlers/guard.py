"""Admit only callers that may see application data, and name the cure to the others."""

from http import HTTPStatus

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse

from poolscope_exporter.listeners.access import Access, access_of
from poolscope_exporter.listeners.tokens import Keyring
from poolscope_exporter.web.handlers.responses import Handler

_CURES = {
    Access.NEEDS_TOKEN: (
        HTTPStatus.UNAUTHORIZED,
        (
            "this needs the exporter's token: send 'Authorization: Bearer <token>',"
            " or in a browser enter it as the password, with any user name\n"
        ),
    ),
    Access.NEEDS_LOOPBACK: (
        HTTPStatus.FORBIDDEN,
        (
            "only callers on the exporter's machine may read this, as it shows application data:"
            " open it by 127.0.0.1 or through a port-forward,"
            " or set POOLSCOPE_TOKEN or --token-file and send 'Authorization: Bearer <token>'\n"
        ),
    ),
}

_CHALLENGE = 'Basic realm="poolscope", charset="UTF-8", Bearer'
"""Basic is first because browsers support no other scheme and would not ask for the token."""


def guard(handler: Handler, keyring: Keyring | None) -> Handler:
    """Return the handler for callers that `access_of` admits; others get the cure."""

    async def guarded(request: Request) -> Response:
        access = access_of(request, keyring)
        if access is Access.GRANTED:
            return await handler(request)
        status, cure = _CURES[access]
        is_challenge = status is HTTPStatus.UNAUTHORIZED
        headers = {"WWW-Authenticate": _CHALLENGE} if is_challenge else None
        return PlainTextResponse(cure, status, headers)

    return guarded

"""Middleware that an application adds by hand, for frameworks that poolscope does not find."""

from collections.abc import Iterable
from typing import Any

from poolscope.recording.requests import (
    REQUESTS,
    ASGIApplication,
    Receive,
    Scope,
    Send,
    run_request,
)
from poolscope.units.lifespan import Lifecycle, run_lifespan
from poolscope.units.wsgi import Environ, WSGIApplication, run_wsgi


class PoolscopeMiddleware:
    """Middleware that attributes checkouts to requests, for ASGI frameworks without Starlette.

    It is pure ASGI. The route is known if the framework sets `scope["route"]`. If the application
    does not support the lifespan, the middleware answers it: the last push leaves at its end.
    """

    def __init__(self, app: ASGIApplication) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection, as a request if it is one."""
        lifecycle = None if scope["type"] in REQUESTS else _lifecycle()
        if scope["type"] in REQUESTS:
            await run_request(self._app, scope, receive, send)
        elif lifecycle is not None:
            await run_lifespan(self._app, scope, receive, send, lifecycle)
        else:
            await self._app(scope, receive, send)


class PoolscopeWSGIMiddleware:
    """Middleware that attributes checkouts to requests, for WSGI frameworks without a route.

    poolscope finds Django's and Flask's requests without it.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[Any]:
        """Handle one request, which ends when the server closes the response."""
        return run_wsgi(self._app, environ, start_response)


def _lifecycle() -> Lifecycle | None:
    """Return what the end of the application must call; None without `instrument()`."""
    from poolscope.instrumentation import active  # noqa: PLC0415 - it imports OpenTelemetry's SDK

    instrumentation = active()
    return instrumentation.registry if instrumentation is not None else None

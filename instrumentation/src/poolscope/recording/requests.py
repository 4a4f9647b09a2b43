"""Attribute a checkout to its HTTP request: the route, and whether the request has ended."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import ReferenceType, ref

from poolscope.clock import monotonic
from poolscope.recording.tasks import running_loop, running_task

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUESTS = frozenset({"http", "websocket"})
"""The types of ASGI scopes that are requests."""

SCOPE_KEY = "poolscope.request"
"""The key in the scope of a request that has begun; nested applications find it there."""


class Request:
    """One request in flight; it keeps the ASGI scope only until the request has ended.

    It is made without arguments, and its attributes are set afterwards: an `__init__` would cost
    one more call for each request. A request that has ended has its route in `known_route`. The
    task that serves the request is in `task`.
    """

    scope: Scope | None = None
    task: "ReferenceType[asyncio.Task[Any]] | None" = None
    known_route: str | None = None
    finished_at_s: float | None = None
    long_lived = False

    @property
    def route(self) -> str | None:
        """Return the route's template after a router has matched, else None.

        A router in a mounted application may still extend the route, so it is stored only when the
        request has ended. This never raises, with any value that a framework puts into the scope.
        """
        scope = self.scope
        return self.known_route if scope is None else _readable_route_of(scope)

    def finish(self) -> None:
        """Mark the end, and release the scope with everything that it refers to."""
        scope: Any = self.scope
        try:
            # Inlined `route_of` for the case without mounts: each request runs this code.
            if "route" not in scope:
                path = None
            elif "fastapi" in scope or scope.get("root_path"):
                path = route_of(scope)
            else:
                path = scope["route"].path_format
                if not path or path.__class__ is not str:
                    path = route_of(scope)
        except Exception:  # noqa: BLE001 - a framework may put anything into the scope
            path = _readable_route_of(scope)
        self.known_route, self.scope, self.finished_at_s = path, None, monotonic()


CURRENT: ContextVar[Request | None] = ContextVar("poolscope_request", default=None)


@contextmanager
def long_lived() -> Iterator[None]:
    """Declare that a connection taken in this block is held for long on purpose.

    Use it for `LISTEN`, or for the connection that a worker keeps. Such a connection never counts
    as leaked when its request, task or thread has ended, and its idle time is not reported as a
    problem. It is still listed.
    """
    outer = CURRENT.get()
    block = Request()
    block.long_lived, block.known_route = True, outer.route if outer else None
    token = CURRENT.set(block)
    try:
        yield
    finally:
        CURRENT.reset(token)


def route_of(scope: Scope) -> str | None:
    """Return the template of the matched route, as FastAPI or Starlette stores it.

    FastAPI 0.136 and later store the full path of an included route separately. There,
    `scope["route"]` has the path without the prefix.
    """
    route, included = scope.get("route"), scope.get("fastapi")
    if included is not None:
        context = included.get("effective_route_context")
        if getattr(context, "path_format", None) or getattr(context, "path", None):
            route = context
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if not path or not isinstance(path, str):
        return None
    if not scope.get("root_path"):
        return path
    # A route with `routes` is a mount that leads to no router: its path is the path of the root.
    return _mount_of(scope) + ("/{path}" if hasattr(route, "routes") else path)


def _readable_route_of(scope: Scope) -> str | None:
    """Return the route, or None if it cannot be read."""
    try:
        return route_of(scope)
    except Exception:  # noqa: BLE001 - a framework may put anything into the scope
        return None


def _mount_of(scope: Scope) -> str:
    """Return the template of the path under which the matched application is mounted.

    The scope has that path with its parameters filled in, which would give one route per value.
    """
    root = scope["root_path"].removeprefix(scope.get("app_root_path", ""))
    # The parameters of mounts come first, and win if an inner parameter has the same value.
    parameters = reversed([*scope.get("path_params", {}).items()])
    names = {str(value): f"{{{name}}}" for name, value in parameters}
    return "/".join(names.get(part, part) for part in root.split("/"))


async def run_request(app: ASGIApplication, scope: Scope, receive: Receive, send: Send) -> None:
    """Run one request of `app` and mark its end; nested applications belong to the outer one."""
    if SCOPE_KEY in scope:
        await app(scope, receive, send)
        return
    request, task = Request(), running_task()
    request.scope = scope
    if task is not None:
        request.task = ref(task)
    scope[SCOPE_KEY] = True
    token = CURRENT.set(request)
    try:
        await app(scope, receive, send)
    finally:
        request.finish()
        CURRENT.reset(token)


class Lifecycle(Protocol):
    """The functions that the start and the end of an application call."""

    def on_activity(self) -> None:
        """Note that this process serves requests."""

    def on_shutdown(self) -> None:
        """Push the data that is left; return within a second."""

    def contain(self, error: Exception) -> None:
        """Note an error of poolscope."""


async def run_lifespan(
    app: ASGIApplication, scope: Scope, receive: Receive, send: Send, lifecycle: Lifecycle
) -> None:
    """Run a lifespan of `app`; the last push leaves before the server sees the end.

    A SIGTERM to uvicorn runs this, but no `atexit` function.
    """

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "lifespan.startup.complete":
            lifecycle.on_activity()
        elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await _shut_down(lifecycle)
        await send(message)

    await app(scope, receive, sending)


async def _shut_down(lifecycle: Lifecycle) -> None:
    """Push the remaining data: in another thread under asyncio or trio, otherwise directly."""
    trio = sys.modules.get("trio")
    try:
        if running_loop() is not None:
            await asyncio.to_thread(lifecycle.on_shutdown)
        elif trio is not None:
            await trio.to_thread.run_sync(lifecycle.on_shutdown)
        else:
            lifecycle.on_shutdown()
    except Exception as error:  # noqa: BLE001 - the application must end even if the push failed
        lifecycle.contain(error)


class PoolscopeMiddleware:
    """Middleware that attributes checkouts to requests, for ASGI frameworks without Starlette.

    It is pure ASGI. The route is known if the framework sets `scope["route"]`.
    """

    def __init__(self, app: ASGIApplication) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection, as a request if it is one."""
        if scope["type"] in REQUESTS:
            await run_request(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

"""Know which HTTP request a checkout belongs to, its route, and whether it has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import ReferenceType, ref

from poolscope.clock import monotonic
from poolscope.recording.tasks import running_task

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUESTS = frozenset({"http", "websocket"})
"""Types of scopes that are requests."""

SCOPE_KEY = "poolscope.request"
"""In the scope of whatever belongs to a request that has begun."""


class Request:
    """One request in flight; it holds the ASGI scope only until it has ended.

    It is made without arguments and given what it has: an `__init__` would be one more call for
    each request of the application. `known_route` is the route of one that has ended; `task`, the
    task that serves it.
    """

    scope: Scope | None = None
    task: "ReferenceType[asyncio.Task[Any]] | None" = None
    known_route: str | None = None
    finished_at_s: float | None = None
    long_lived = False

    @property
    def route(self) -> str | None:
        """Return the route's template once a router has matched, else None.

        A router in a mounted application may yet add to it, so it is kept only when the request
        has ended. It never raises, whatever a framework has put into the scope.
        """
        scope = self.scope
        return self.known_route if scope is None else _readable_route_of(scope)

    def finish(self) -> None:
        """Mark the end; the scope (and all that hangs on it) is let go."""
        scope: Any = self.scope
        try:
            # `route_of` where nothing is mounted or included, written out: each request comes here.
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

    For `LISTEN`, a worker's own connection, and the like: it never counts as leaked because its
    request, task or thread has ended, and being idle is no finding. It is listed all the same.
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
    """Return the template of the matched route, from FastAPI's or Starlette's own word for it.

    FastAPI 0.136 and later keep the full path of an included route apart from `scope["route"]`,
    which then has the path without the prefix.
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
    # What has routes is a mount, matched where it leads to no router: its path is the root's.
    return _mount_of(scope) + ("/{path}" if hasattr(route, "routes") else path)


def _readable_route_of(scope: Scope) -> str | None:
    """Return the route, or None where it cannot be read: unknown, whatever the reason."""
    try:
        return route_of(scope)
    except Exception:  # noqa: BLE001 - a framework may put anything into the scope
        return None


def _mount_of(scope: Scope) -> str:
    """Return the template of the path under which the matched application is mounted.

    The scope has that path with its parameters filled in, which would be one route per value.
    """
    root = scope["root_path"].removeprefix(scope.get("app_root_path", ""))
    # Those of the mounts come first, and count where a parameter further in has the same value.
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
    """What the start and the end of an application mean to us."""

    def on_activity(self) -> None:
        """Note that this process serves."""

    def on_shutdown(self) -> None:
        """Send what there is; returns within a second."""


async def run_lifespan(
    app: ASGIApplication, scope: Scope, receive: Receive, send: Send, lifecycle: Lifecycle
) -> None:
    """Run a lifespan of `app`; the last push leaves before the server hears that it is over.

    A SIGTERM to uvicorn runs this, but no `atexit` function.
    """

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "lifespan.startup.complete":
            lifecycle.on_activity()
        elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await asyncio.to_thread(lifecycle.on_shutdown)
        await send(message)

    await app(scope, receive, sending)


class PoolscopeMiddleware:
    """Attribute checkouts to requests, for ASGI frameworks that are not built on Starlette.

    Pure ASGI. The route is known where the framework sets `scope["route"]`.
    """

    def __init__(self, app: ASGIApplication) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one ASGI connection on, as a request where it is one."""
        if scope["type"] in REQUESTS:
            await run_request(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

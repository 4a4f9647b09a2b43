"""Attribute a checkout to its unit of work: a request or a job, its name, and whether it ended."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import ReferenceType, ref

from poolscope.catalogue import UnitKind
from poolscope.clock import monotonic
from poolscope.recording.tasks import ThreadOwner, running_task

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUESTS = frozenset({"http", "websocket"})
"""The types of ASGI scopes that are requests."""

SCOPE_KEY = "poolscope.request"
"""The key in the scope of a request that has begun; nested applications find it there."""


class Request:
    """One unit of work: a request, or a job of another `kind`.

    It is made without arguments, and its attributes are set afterwards: an `__init__` would cost
    one more call for each request. A request of ASGI keeps the scope until it has ended. Then its
    route is in `known_route`, which has the name of a job from the start. The task that serves the
    request is in `task`; outside asyncio, the thread is in `thread`. While a unit runs inside
    another one, that one is its `outer` unit.
    """

    kind = UnitKind.REQUEST
    scope: Scope | None = None
    task: "ReferenceType[asyncio.Task[Any]] | None" = None
    thread: ThreadOwner | None = None
    outer: "Request | None" = None
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
        found = None if scope is None else _readable_route_of(scope)
        return found or self.known_route

    @property
    def counts_as_request(self) -> bool:
        """Return whether the unit is a request, not a job or a block that holds on purpose."""
        return self.kind is UnitKind.REQUEST and not self.long_lived

    def finish(self) -> None:
        """Mark the end of an ASGI request, and release the scope with all that it refers to."""
        scope: Any = self.scope
        try:
            # Inlined `route_of` for the case without mounts: each request runs this code.
            if "route" not in scope:
                path = route_of(scope) or self.known_route
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
    """Return the template of the matched route, as FastAPI, Starlette or Litestar stores it.

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
        template = scope.get("path_template")  # Litestar's
        return template if template and isinstance(template, str) else None
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

"""See every request of Starlette and FastAPI applications, made before or after."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette

from poolscope.registry import Registry
from poolscope.requests import Receive, Scope, Send, run_lifespan, run_request


def install(registry: Registry) -> Callable[[], None]:
    """Wrap the call of every application, and return what takes the wrapper away."""
    application: Any = Starlette
    original = application.__call__

    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await original(self, scope, receive, send)

        if scope["type"] in ("http", "websocket"):
            await run_request(app, scope, receive, send)
        else:
            await run_lifespan(app, scope, receive, send, registry)

    application.__call__ = __call__

    def restore() -> None:
        application.__call__ = original

    return restore

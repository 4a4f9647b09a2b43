"""See every request of Starlette and FastAPI applications, made before or after."""

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette

from poolscope.registry import Registry
from poolscope.requests import CURRENT, SCOPE_KEY, Receive, Request, Scope, Send, run_lifespan
from poolscope.tasks import running_loop, task_of


def install(registry: Registry) -> Callable[[], None]:
    """Wrap the call of every application, and return what takes the wrapper away."""
    application: Any = Starlette
    original = application.__call__
    known = is_known(original)

    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807
        if SCOPE_KEY in scope:
            await original(self, scope, receive, send)
        elif scope["type"] in ("http", "websocket"):
            # run_request() in place, without its coroutine: every request pays for each of them.
            loop = running_loop()
            request = Request(scope, task_of(loop) if loop is not None else None)
            scope[SCOPE_KEY] = True
            token = CURRENT.set(request)
            try:
                if known:  # in place too
                    scope["app"] = self
                    if self.middleware_stack is None:
                        self.middleware_stack = self.build_middleware_stack()
                    await self.middleware_stack(scope, receive, send)
                else:
                    await original(self, scope, receive, send)
            finally:
                request.finish()
                CURRENT.reset(token)
        else:
            await run_lifespan(partial(original, self), scope, receive, send, registry)

    application.__call__ = __call__

    def restore() -> None:
        application.__call__ = original

    return restore


def is_known(call: Any) -> bool:
    """Say whether an application's call does what we know that it does, and nothing else."""
    code = getattr(call, "__code__", None)
    names, values = getattr(code, "co_names", ()), getattr(code, "co_consts", ())
    return names == ("middleware_stack", "build_middleware_stack") and {*values} <= {None, "app"}

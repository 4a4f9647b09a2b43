"""Measure every request of Starlette and FastAPI applications, existing or made later."""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from starlette.applications import Starlette

from poolscope.adapters.common.patching import looking_like, uses_only
from poolscope.recording.registry import Registry
from poolscope.recording.requests import (
    CURRENT,
    REQUESTS,
    SCOPE_KEY,
    Receive,
    Request,
    Scope,
    Send,
)
from poolscope.recording.tasks import running_loop, task_of
from poolscope.units.asgi import Call, call_around
from poolscope.units.lifespan import Lifecycle, run_lifespan


def install(registry: Registry) -> Callable[[], None]:
    """Wrap the call of every application, and return the function that removes the wrapper."""
    application: Any = Starlette
    original = application.__call__
    make = call_in_place if is_known(original) else call_around
    application.__call__ = looking_like(original, make(original, registry))

    def restore() -> None:
        application.__call__ = original

    return restore


def is_known(call: Any) -> bool:
    """Return whether an application's call does only what poolscope expects."""
    names = ("middleware_stack", "build_middleware_stack")
    return uses_only(call, names, frozenset({"app"}))


def call_in_place(original: Call, lifecycle: Lifecycle) -> Call:
    """Return a call that does the work of a known call and of `run_request` in one coroutine.

    Each coroutine more would cost time in every request of the application.
    """

    async def __call__(  # noqa: N807 - it takes the place of the method
        self: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if SCOPE_KEY in scope:
            await original(self, scope, receive, send)
        elif scope["type"] in REQUESTS:
            request, loop = Request(), running_loop()
            request.scope = scope
            if loop is not None:
                task = task_of(loop)
                if task is not None:
                    request.task = ref(task)
            scope[SCOPE_KEY] = True
            token = CURRENT.set(request)
            try:
                scope["app"] = self
                if self.middleware_stack is None:
                    self.middleware_stack = self.build_middleware_stack()
                await self.middleware_stack(scope, receive, send)
            finally:
                request.finish()
                CURRENT.reset(token)
        else:
            await run_lifespan(partial(original, self), scope, receive, send, lifecycle)

    return __call__

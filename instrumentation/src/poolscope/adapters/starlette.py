"""See every request of Starlette and FastAPI applications, made before or after."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from weakref import ref

from starlette.applications import Starlette

from poolscope.adapters.common.patching import uses_only
from poolscope.recording.registry import Registry
from poolscope.recording.requests import (
    CURRENT,
    REQUESTS,
    SCOPE_KEY,
    Lifecycle,
    Receive,
    Request,
    Scope,
    Send,
    run_lifespan,
    run_request,
)
from poolscope.recording.tasks import running_loop, task_of

Call = Callable[[Any, Scope, Receive, Send], Awaitable[None]]
"""An application's `__call__`, with the application itself."""


def install(registry: Registry) -> Callable[[], None]:
    """Wrap the call of every application, and return what takes the wrapper away."""
    application: Any = Starlette
    original = application.__call__
    make = call_in_place if is_known(original) else call_around
    application.__call__ = make(original, registry)

    def restore() -> None:
        application.__call__ = original

    return restore


def is_known(call: Any) -> bool:
    """Return whether an application's call does what we know that it does, and nothing else."""
    names = ("middleware_stack", "build_middleware_stack")
    return uses_only(call, names, frozenset({"app"}))


def call_around(original: Call, lifecycle: Lifecycle) -> Call:
    """Return the call with each request measured around it, whatever it does."""

    async def __call__(  # noqa: N807 - it takes the place of the method
        self: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        app = partial(original, self)
        if scope["type"] in REQUESTS:
            await run_request(app, scope, receive, send)
        else:
            await run_lifespan(app, scope, receive, send, lifecycle)

    return __call__


def call_in_place(original: Call, lifecycle: Lifecycle) -> Call:
    """Return what does what a known call does, and what `run_request` does, in one coroutine.

    Every request of the application pays for each coroutine that it runs in.
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

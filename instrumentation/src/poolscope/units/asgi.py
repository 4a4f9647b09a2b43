"""Measure each request of an ASGI application, and its lifespan."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from poolscope.recording.requests import (
    REQUESTS,
    Receive,
    Scope,
    Send,
    run_request,
)
from poolscope.units.lifespan import Lifecycle, run_lifespan

Call = Callable[[Any, Scope, Receive, Send], Awaitable[None]]
"""An application's `__call__`, with the application as its first argument."""


def call_around(original: Call, lifecycle: Lifecycle) -> Call:
    """Return a call that measures each request around the original, for any original."""

    async def __call__(  # noqa: N807 - it takes the place of the method
        self: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        app = partial(original, self)
        if scope["type"] in REQUESTS:
            await run_request(app, scope, receive, send)
        else:
            await run_lifespan(app, scope, receive, send, lifecycle)

    return __call__

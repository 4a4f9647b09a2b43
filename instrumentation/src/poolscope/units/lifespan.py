"""Send the last push at the end of an ASGI application's lifespan, also if it has none."""

import asyncio
import sys
from collections.abc import MutableMapping
from typing import Any, Protocol

from poolscope.recording.requests import SCOPE_KEY, ASGIApplication, Receive, Scope, Send
from poolscope.recording.tasks import running_loop

Message = MutableMapping[str, Any]


class Lifecycle(Protocol):
    """The functions that the start and the end of an application call."""

    def on_activity(self) -> None:
        """Note that this process serves requests."""

    def on_shutdown(self) -> None:
        """Push the data that is left; return within a second."""

    def contain(self, error: Exception) -> None:
        """Note an error of poolscope."""


class _Lifespan:
    """One lifespan of an application, and whether the application reads or sends messages of it."""

    def __init__(self, receive: Receive, send: Send, lifecycle: Lifecycle) -> None:
        self._receive = receive
        self._send = send
        self._lifecycle = lifecycle
        self.is_supported = False

    async def receive(self) -> Message:
        self.is_supported = True
        return await self._receive()

    async def send(self, message: Message) -> None:
        self.is_supported = True
        if message["type"] == "lifespan.startup.complete":
            self._lifecycle.on_activity()
        elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await _shut_down(self._lifecycle)
        await self._send(message)

    async def answer(self) -> None:
        """Answer all messages, for an application without start and end."""
        while True:
            phase = (await self._receive())["type"]
            await self.send({"type": f"{phase}.complete"})
            if phase == "lifespan.shutdown":
                return


async def run_lifespan(
    app: ASGIApplication, scope: Scope, receive: Receive, send: Send, lifecycle: Lifecycle
) -> None:
    """Run a lifespan of `app`; the last push leaves before the server sees the end.

    A SIGTERM to uvicorn runs this, but no `atexit` function. If the application does not support
    the lifespan (Django's does not), poolscope answers in its place. Such an application raises or
    returns before it reads or sends a message.
    """
    if scope["type"] != "lifespan" or SCOPE_KEY in scope:
        await app(scope, receive, send)
        return
    scope[SCOPE_KEY] = True
    lifespan = _Lifespan(receive, send, lifecycle)
    try:
        await app(scope, lifespan.receive, lifespan.send)
    except Exception:
        if lifespan.is_supported:
            raise
    if not lifespan.is_supported:
        await lifespan.answer()


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

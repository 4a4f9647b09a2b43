"""An application runs alike with and without poolscope, on asyncio and on trio."""

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from fastapi import Depends, FastAPI, WebSocket

from poolscope.middleware import PoolscopeMiddleware
from poolscope.recording.requests import CURRENT
from support.applications.apps import instrumented

on_every_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Lifespan:
    """What an application and its shutdown went through."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.pushed_in: list[int] = []

    @asynccontextmanager
    async def around(self, _app: Any) -> AsyncIterator[None]:
        self.steps.append("begun")
        yield
        await checkpoint()
        self.steps.append("ended")

    def push(self) -> None:
        self.steps.append("pushed")
        self.pushed_in.append(threading.get_ident())


async def one() -> str:
    await checkpoint()
    request = CURRENT.get()
    return (request and request.route) or "no request"


def an_app(lifespan: Lifespan) -> FastAPI:
    app = FastAPI(lifespan=lifespan.around)

    @app.get("/orders/{order}")
    async def order(order: int, found: str = Depends(one)) -> list[Any]:
        async with anyio.create_task_group() as group:
            group.start_soon(checkpoint)
        return [order, found]

    @app.websocket("/chat/{room}")
    async def chat(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        await websocket.send_json([room, await one()])
        await websocket.close()

    return app


async def live(app: Any) -> None:
    """Let an application begin and end, as a server does."""
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan", "state": {}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def get(app: Any, path: str) -> Any:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return (await client.get(path)).json()


async def first_words(app: Any, path: str) -> Any:
    """Return what a WebSocket of the application says first."""
    messages = iter([{"type": "websocket.connect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return json.loads(sent[1]["text"])


@on_every_backend
def test_requests_and_lifespan_run_as_ever(backend: str) -> None:
    lifespan = Lifespan()
    app = an_app(lifespan)
    with instrumented() as readings:
        registry = readings.instrumentation.registry
        registry.on_shutdown = lifespan.push
        assert anyio.run(get, app, "/orders/7", backend=backend) == [7, "/orders/{order}"]
        assert anyio.run(first_words, app, "/chat/hall", backend=backend) == [
            "hall",
            "/chat/{room}",
        ]
        anyio.run(live, app, backend=backend)
        assert registry.last_hook_error is None
    assert lifespan.steps == ["begun", "ended", "pushed"]
    # The loop runs in this thread, and did not stand still.
    assert threading.get_ident() not in lifespan.pushed_in


@on_every_backend
def test_a_last_push_that_fails_is_ours_alone(backend: str) -> None:
    lifespan = Lifespan()

    def failing() -> None:
        raise RuntimeError("no room for a thread")

    with instrumented() as readings:
        registry = readings.instrumentation.registry
        registry.on_shutdown = failing
        anyio.run(live, an_app(lifespan), backend=backend)
        assert "no room" in str(registry.last_hook_error)
    assert lifespan.steps == ["begun", "ended"]


@on_every_backend
def test_the_middleware_runs_as_ever(backend: str) -> None:
    app = PoolscopeMiddleware(an_app(Lifespan()))
    assert anyio.run(get, app, "/orders/7", backend=backend) == [7, "/orders/{order}"]
    anyio.run(live, app, backend=backend)

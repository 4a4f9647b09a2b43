from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import APIRouter, BackgroundTasks, FastAPI

from poolscope.requests import CURRENT, PoolscopeMiddleware, Request, route_of
from support.apps import instrumented


def test_the_route_is_the_template_and_never_the_path() -> None:
    assert route_of({"route": SimpleNamespace(path="/orders/{id}")}) == "/orders/{id}"
    assert route_of({"path": "/orders/7"}) is None


def test_an_included_route_has_its_full_path() -> None:
    context = SimpleNamespace(path_format="/v1/orders/{id}")
    scope = {
        "route": SimpleNamespace(path="/orders/{id}"),
        "fastapi": {"effective_route_context": context},
    }
    assert route_of(scope) == "/v1/orders/{id}"


async def test_an_ended_request_keeps_its_route_and_lets_the_scope_go() -> None:
    request = Request({"route": SimpleNamespace(path="/a")})
    request.finish()
    assert request.finished_at_s is not None
    assert request.route == "/a"
    assert request._scope is None


async def requested(app: Any, path: str) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.get(path)


async def test_every_fastapi_route_sees_its_request() -> None:
    seen: list[tuple[str | None, bool]] = []

    def note() -> None:
        request = CURRENT.get()
        assert request is not None
        seen.append((request.route, request.finished_at_s is None))

    app, router = FastAPI(), APIRouter(prefix="/v1")

    @router.get("/async/{x}")
    async def asynchronous(x: str, background: BackgroundTasks) -> None:
        note()
        background.add_task(note)

    @router.get("/sync/{x}")
    def synchronous(x: str) -> None:
        note()

    app.include_router(router)
    with instrumented():
        await requested(app, "/v1/async/1")
        await requested(app, "/v1/sync/1")
    assert seen == [("/v1/async/{x}", True)] * 2 + [("/v1/sync/{x}", True)]


async def test_a_mounted_application_belongs_to_the_outer_request() -> None:
    requests: list[Request | None] = []
    outer, inner = FastAPI(), FastAPI()

    @inner.get("/x")
    async def endpoint() -> None:
        requests.append(CURRENT.get())

    outer.mount("/sub", inner)
    with instrumented():
        await requested(outer, "/sub/x")
    [request] = requests
    assert request is not None
    assert request.finished_at_s is not None


async def test_the_middleware_serves_other_frameworks() -> None:
    seen: list[Request | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(CURRENT.get())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await requested(PoolscopeMiddleware(app), "/")
    assert isinstance(seen[0], Request)
    assert CURRENT.get() is None

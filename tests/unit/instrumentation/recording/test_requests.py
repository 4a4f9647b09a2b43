import asyncio
import weakref
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

import poolscope
from poolscope.adapters.starlette import is_known
from poolscope.middleware import PoolscopeMiddleware
from poolscope.recording.requests import CURRENT, Request, route_of
from support.applications.apps import instrumented


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


def test_an_ended_request_keeps_its_route_and_lets_the_scope_go() -> None:
    answer = {"of the application"}
    request = Request()
    request.scope = {
        "route": SimpleNamespace(path="/a"), "root_path": "/api/7", "path_params": {"version": 7},
        "answer": answer,
    }  # fmt: skip
    request.finish()
    assert request.finished_at_s is not None
    gone = weakref.ref(answer)
    del answer
    assert gone() is None
    assert request.route == "/api/{version}/a"


def test_the_route_that_counts_is_that_at_the_end() -> None:
    request, scope = Request(), {"route": SimpleNamespace(path="/sub")}
    request.scope = scope
    assert request.route == "/sub"
    scope["route"] = SimpleNamespace(path="/sub/orders/{id}")
    assert request.route == "/sub/orders/{id}"
    request.finish()
    del scope["route"]
    assert request.route == "/sub/orders/{id}"


def test_a_request_that_ends_before_the_router_matched_has_no_route() -> None:
    request = Request()
    request.scope = {"path": "/orders/7"}
    request.finish()
    assert request.route is None


class BrokenRoute:
    """A framework's route whose path cannot be read."""

    @property
    def path(self) -> str:
        raise RuntimeError("not yet")


@pytest.mark.parametrize(
    "odd",
    [
        {"fastapi": 7},
        {"fastapi": None},
        {"route": BrokenRoute()},
        {"route": SimpleNamespace(path="/a"), "root_path": "/b", "path_params": [7]},
    ],
)
async def test_a_scope_that_cannot_be_read_reaches_nobody(odd: dict[str, Any]) -> None:
    async def app(scope: Any, _receive: object, _send: object) -> None:
        scope.update(odd)
        answered.append(CURRENT.get())

    answered: list[Request | None] = []
    await PoolscopeMiddleware(app)({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert answered[0] is not None
    assert answered[0].route is None
    assert answered[0].finished_at_s is not None
    assert CURRENT.get() is None


async def requested(app: Any, path: str, *, root_path: str = "") -> None:
    transport = httpx.ASGITransport(app=app, root_path=root_path)
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


def test_the_call_of_this_starlette_is_known() -> None:
    assert is_known(Starlette.__call__)
    assert not is_known(FastAPI.__call__)
    assert not is_known(None)


async def test_what_somebody_put_around_an_application_before_us_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[Request | None] = []
    original = Starlette.__call__

    async def around(self: Starlette, scope: Any, receive: Any, send: Any) -> None:
        called.append(CURRENT.get())
        await original(self, scope, receive, send)

    monkeypatch.setattr(Starlette, "__call__", around)
    app = Starlette(routes=[Route("/orders/{order_id}", lambda _: Response())])
    with instrumented():
        await requested(app, "/orders/7")
    assert called[0] is not None
    assert called[0].route == "/orders/{order_id}"
    assert called[0].finished_at_s is not None


async def test_a_request_knows_the_task_that_serves_it() -> None:
    served: list[asyncio.Task[Any] | None] = []
    app = FastAPI()

    @app.get("/x")
    async def endpoint() -> None:
        request = CURRENT.get()
        assert request is not None
        assert request.task is not None
        served.append(request.task())

    with instrumented():
        await requested(app, "/x")
    assert served == [asyncio.current_task()]


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


async def test_the_route_of_a_mounted_application_has_its_prefix_as_a_template() -> None:
    routes: list[str | None] = []
    outer, middle, inner = FastAPI(), FastAPI(), FastAPI()

    @inner.get("/orders/{order}")
    async def endpoint(order: str) -> None:
        request = CURRENT.get()
        assert request is not None
        routes.append(request.route)

    outer.mount("/tenants/{tenant}", middle)
    middle.mount("/v1", inner)
    with instrumented():
        await requested(outer, "/proxy/tenants/acme/v1/orders/7", root_path="/proxy")
        await requested(outer, "/proxy/tenants/7/v1/orders/7", root_path="/proxy")
    assert routes == ["/tenants/{tenant}/v1/orders/{order}"] * 2


@pytest.mark.parametrize("root_path", ["", "/proxy"])
async def test_what_is_mounted_without_a_router_has_the_template_of_its_mounts(
    root_path: str,
) -> None:
    requests: list[Request | None] = []

    async def files(scope: Any, receive: Any, send: Any) -> None:
        requests.append(CURRENT.get())
        await Response()(scope, receive, send)

    inner = Mount("/files", files)
    app = Starlette(routes=[Mount("/tenants/{tenant}", routes=[inner]), Mount("/", files)])
    with instrumented():
        await requested(app, f"{root_path}/tenants/acme/files/a/b", root_path=root_path)
        await requested(app, f"{root_path}/a/b", root_path=root_path)
    routes = [request.route for request in requests if request is not None]
    assert routes == ["/tenants/{tenant}/files/{path}", "/{path}"]


async def test_a_streaming_body_belongs_to_its_request() -> None:
    seen: list[bool] = []
    app = FastAPI()

    async def body() -> AsyncIterator[str]:
        request = CURRENT.get()
        assert request is not None
        seen.append(request.finished_at_s is None)
        yield "x"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(body())

    with instrumented():
        await requested(app, "/stream")
    assert seen == [True]


async def test_threads_and_tasks_that_a_request_starts_belong_to_it() -> None:
    seen: list[str | None] = []
    app = FastAPI()

    def note() -> None:
        request = CURRENT.get()
        seen.append(request.route if request else None)

    @app.get("/starts")
    async def starts() -> None:
        await asyncio.to_thread(note)
        await asyncio.create_task(asyncio.to_thread(note))

    with instrumented():
        await requested(app, "/starts")
    assert seen == ["/starts", "/starts"]


async def test_a_websocket_is_a_request_until_it_closes() -> None:
    seen: list[Request] = []
    app = FastAPI()

    @app.websocket("/live/{topic}")
    async def live(socket: WebSocket, topic: str) -> None:
        request = CURRENT.get()
        assert request is not None
        seen.append(request)
        await socket.accept()
        await socket.close()

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(_: object) -> None:
        pass

    scope = {"type": "websocket", "path": "/live/orders", "headers": [], "query_string": b""}
    with instrumented():
        await app(scope, receive, send)
    assert seen[0].route == "/live/{topic}"
    assert seen[0].finished_at_s is not None


async def test_a_declared_block_is_no_request_of_its_own_and_ends_with_the_block() -> None:
    outer = Request()
    outer.known_route = "/listen"
    token = CURRENT.set(outer)
    with poolscope.long_lived():
        declared = CURRENT.get()
        assert declared is not None
        assert declared.long_lived
        assert declared.route == "/listen"
    assert CURRENT.get() is outer
    CURRENT.reset(token)


async def test_the_middleware_serves_other_frameworks() -> None:
    seen: list[Request | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(CURRENT.get())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await requested(PoolscopeMiddleware(app), "/")
    assert isinstance(seen[0], Request)
    assert CURRENT.get() is None

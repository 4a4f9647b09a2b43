"""Everything that a run needs: a server, ways to it, exporters and the app, each a process."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from conformance.proxy import a_proxy
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from poolscope_generators.scenarios.scenario import Watcher
from support.exporter.exporter_process import ExporterProcess, clean_environment
from support.postgres.server import make_role, run_sql
from support.processes.child_processes import wait_until

TESTS = Path(__file__).parents[1]
POLL_INTERVAL_S = 0.3
PUSH_INTERVAL_S = 1.5
"""An app that misses three is taken for dead, and its links are forgotten: room for a hiccup."""
HELD_AFTER_S = 1.25
"""Later than the default, so that what is so for a second is so when it is first listed."""

SERVER = "main"
LIMITED = "limited"
START_S = 60.0


class App:
    """The app with its behaviours, in a process of its own; its requests are left open."""

    def __init__(self, ways: Mapping[str, str], endpoints: str, log: Path) -> None:
        self._port = held_port()
        self._log = log
        self._requests: list[http.client.HTTPConnection] = []
        self._command = [
            sys.executable, "-m", "uvicorn", "scenarios.app.main:app",
            f"--host={HOST}", f"--port={self._port}", "--log-level=warning",
        ]  # fmt: skip
        paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
        self._environment = clean_environment(
            PYTHONPATH=os.pathsep.join(filter(None, paths)),
            SCENARIO_WAYS=json.dumps(dict(ways)),
            OTEL_SERVICE_NAME="scenarios",
            POOLSCOPE_ENDPOINT=endpoints,
            POOLSCOPE_PUSH_INTERVAL_S=str(PUSH_INTERVAL_S),
            POOLSCOPE_HELD_AFTER_S=str(HELD_AFTER_S),
        )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def __enter__(self) -> "App":
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        is_up = wait_until(self._is_up, START_S)
        if not is_up:
            self.__exit__()  # nobody else would end it
        assert is_up, self.log
        return self

    def __exit__(self, *_: object) -> None:
        for request in self._requests:
            request.close()
        self.process.kill()
        self.process.wait()

    def behave(self, behaviour: str) -> None:
        """Send the request that does it, and wait for no answer."""
        request = http.client.HTTPConnection(HOST, self._port)
        request.request("GET", f"/{behaviour}")
        self._requests.append(request)

    def _is_up(self) -> bool:
        request = http.client.HTTPConnection(HOST, self._port, timeout=5)
        try:
            request.request("GET", "/openapi.json")
            return request.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            request.close()


@dataclass(slots=True)
class Stage:
    """What is running. `ways` are DSNs of the server by way, `consoles` of its PgBouncers."""

    server: EmbeddedPostgres
    folder: Path
    stack: ExitStack
    ways: dict[str, str] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)
    consoles: list[str] = field(default_factory=list)
    exporters: dict[Watcher, ExporterProcess] = field(default_factory=dict)

    def start(self, watchers: Iterable[Watcher]) -> App:
        """Start the exporters, wait until each sees what it is to see, and start the app."""
        options: dict[Watcher, Callable[[], list[str]]] = {
            Watcher.FULL: self._full,
            Watcher.TWICE: self._twice,
            Watcher.NONE: list,
        }
        for watcher in watchers:
            exporter = ExporterProcess(*options[watcher]())
            self.exporters[watcher] = self.stack.enter_context(exporter)
        for exporter in self.exporters.values():
            assert wait_until(lambda e=exporter: _all_up(e), START_S), exporter.log  # type: ignore[misc]
        endpoints = ",".join(exporter.otlp for exporter in self.exporters.values())
        return self.stack.enter_context(App(self.ways, endpoints, self.folder / "app.log"))

    def add_way(self, way: str, port: int, role: str = "postgres") -> None:
        self.ways[way] = f"postgresql://{role}@{HOST}:{port}/postgres"

    def _full(self) -> list[str]:
        monitor = make_role(self.server, "monitor", member_of=("pg_read_all_stats",))
        return self._options("full", _target(SERVER, monitor, self.aliases, self.consoles))

    def _twice(self) -> list[str]:
        blind = make_role(self.server, "blind")
        # Only one of the two is known by the way with the translated address.
        one, other = _target("one", blind, self.aliases, []), _target("other", blind, [], [])
        return self._options("twice", one, other)

    def _options(self, name: str, *tables: str) -> list[str]:
        file = self.folder / f"{name}.toml"
        file.write_text(f"poll_interval_s = {POLL_INTERVAL_S}\n" + "".join(tables))
        return ["--config", str(file)]


def _target(name: str, dsn: str, aliases: list[str], consoles: list[str]) -> str:
    lines = [f'name = "{name}"', f'dsn = "{dsn}"']
    lines += [f"aliases = {json.dumps(aliases)}", f"pgbouncers = {json.dumps(consoles)}"]
    return "[[server]]\n" + "\n".join(lines) + "\n"


def _all_up(exporter: ExporterProcess) -> bool:
    told = exporter.get("/api/v1/pools").json()
    return all(each["up"] for each in (*told["servers"], *told["pgbouncers"]))


@contextmanager
def a_stage(server: EmbeddedPostgres, folder: Path) -> Iterator[Stage]:
    """Yield a stage with the direct way, one with a translated address, and one to nowhere known.

    The server must be the run's own: it is filled, stopped and started.
    """
    run_sql(server.dsn, "CREATE TABLE scenario (id int PRIMARY KEY, state text)")
    run_sql(server.dsn, "INSERT INTO scenario VALUES (1, 'new'), (2, 'new')")
    run_sql(server.dsn, f"CREATE ROLE {LIMITED} LOGIN CONNECTION LIMIT 1")
    with ExitStack() as stack:
        stage = Stage(server, folder, stack)
        nat, stranger = (stack.enter_context(a_proxy(server.port)) for _ in range(2))
        stage.add_way("direct", server.port)
        stage.add_way(LIMITED, server.port, LIMITED)
        stage.add_way("nat", nat.port)
        stage.add_way("stranger", stranger.port)
        stage.aliases.append(f"{HOST}:{nat.port}")
        yield stage

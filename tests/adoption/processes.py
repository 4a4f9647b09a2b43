"""The processes of one application, in its own environment, with the one line or without."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from adoption.apps.truth import FILE
from adoption.table import DRIVERS, NO_CODE, App
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import clean_environment
from support.processes.child_processes import wait_until

APPS = Path(__file__).parent / "apps"
STARTS_WITHIN_S = 600
STOPS_WITHIN_S = 20
RESTS_S = 6.0
"""Longer than the interval of pushes: the last one has every checkout."""
RESTS_WITHIN_S = 120.0
LOOKS_EVERY_S = 0.5
PTH = "adoption_truth.pth"
ROLE = "app"
PACKAGES = (
    "django", "celery", "redis", "gunicorn", "litestar", "aiohttp", "fastapi", "prefect", "mlflow",
    "sqlalchemy", "asyncpg", "psycopg", "psycopg-pool", "psycopg2-binary",
)  # fmt: skip


@dataclass(slots=True)
class AppProcesses:
    """The processes of an application; `start` and `stop` may be repeated."""

    app: App
    server: EmbeddedPostgres
    environments: Path
    folder: Path
    otlp: str | None
    broker: str = ""
    port: int = field(default_factory=held_port)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the address for clients."""
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> str:
        """Return all output of all processes so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def truth(self) -> int:
        """Return the number of checkouts by the application's own count."""
        return self._truth.stat().st_size if self._truth.exists() else 0

    def versions(self) -> str:
        """Return the interpreter's and the packages' versions."""
        names = ", ".join(map(repr, PACKAGES))
        program = (
            "import importlib.metadata as m, sys; names = {d.name.lower(): d.version for d in "
            f"m.distributions()}}; print('Python', sys.version.split()[0], *(f'{{n}} {{names[n]}}' "
            f"for n in ({names},) if n in names), sep=', ')"
        )
        done = subprocess.run([self._python, "-c", program], capture_output=True, check=True)
        return done.stdout.decode().strip().replace("Python, ", "Python ", 1)

    def start(self) -> None:
        """Start every command and wait until the application answers."""
        self.folder.mkdir(exist_ok=True)
        if self.app.uses_no_code:
            self._count_unchanged_code()
        for command in self.app.commands:
            is_watched = command is self.app.commands[0] and self.otlp is not None
            self._launch(command, is_watched=is_watched)
        counted = self.truth
        assert wait_until(lambda: self._works(counted), STARTS_WITHIN_S), self.log[-3000:]

    def drain(self) -> None:
        """Wait until no connection was taken for RESTS_S, as behind a load balancer that lets go.

        Nobody can count the connections that a killed process took after its last push.
        """
        deadline = time.monotonic() + RESTS_WITHIN_S
        counted, rested = self.truth, 0.0
        while rested < RESTS_S and time.monotonic() < deadline:
            time.sleep(LOOKS_EVERY_S)
            before, counted = counted, self.truth
            rested = rested + LOOKS_EVERY_S if counted == before else 0.0

    def stop(self) -> None:
        """End the processes as a deployment does: each may finish first."""
        running, self.running = self.running, []
        for process in running:
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOPS_WITHIN_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def check_running(self) -> None:
        """Fail if a process has ended: from then on, its silence would look like calm."""
        for process in self.running:
            assert process.poll() is None, f"{self.app.name} ended: {self.log[-3000:]}"

    @property
    def _log(self) -> Path:
        return self.folder / "output.log"

    @property
    def _truth(self) -> Path:
        return self.folder / "truth"

    @property
    def _python(self) -> Path:
        return self.environments / self.app.environment / "bin" / "python"

    def _launch(self, command: tuple[str, ...], *, is_watched: bool) -> None:
        words = [self._filled(word) for word in command]
        if is_watched and self.app.uses_no_code:
            words = [*NO_CODE, *words]
        with self._log.open("ab") as out:
            self.running.append(
                subprocess.Popen(
                    words,
                    cwd=APPS / self.app.folder,
                    env=self._environment(is_watched=is_watched),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            )

    def _environment(self, *, is_watched: bool) -> dict[str, str]:
        paths = [str(APPS), str(APPS / self.app.folder)]
        ours = clean_environment(
            PATH=os.pathsep.join([str(self._python.parent), os.environ["PATH"]]),
            PYTHONPATH=os.pathsep.join(paths),
            ADOPTION_DSN=self.server.dsn_for(ROLE),
            ADOPTION_PG_PORT=str(self.server.port),
            ADOPTION_PORT=str(self.port),
            ADOPTION_URL=self._filled("{url}"),
            **{FILE: str(self._truth)},
        )
        ours |= {name: self._filled(value) for name, value in self.app.variables.items()}
        if self.app.needs_broker:
            ours["ADOPTION_BROKER"] = self.broker
        return ours | self._watching() if is_watched else ours

    def _watching(self) -> dict[str, str]:
        exporters = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}
        switch = exporters if self.app.uses_no_code else {"ADOPTION_LINE": "1"}
        return switch | {
            "OTEL_SERVICE_NAME": self.app.name,
            "POOLSCOPE_ENDPOINT": str(self.otlp),
        }

    def _filled(self, word: str) -> str:
        driver = DRIVERS.get(self.app.name, "postgresql")
        return word.format(
            port=self.port,
            home=self.folder,
            url=self.server.dsn_for(ROLE).replace("postgresql", driver, 1),
        )

    def _count_unchanged_code(self) -> None:
        """Let each Python of the environment count by SQLAlchemy's event, bare ones too."""
        [packages] = (self.environments / self.app.environment / "lib").glob("*/site-packages")
        counting = "__import__('count_sqlalchemy').count_pools()"
        (packages / PTH).write_text(f"import os; {FILE!r} in os.environ and {counting}\n")

    def _works(self, counted: int) -> bool:
        """Call, and return whether that took a connection: a worker starts after what answers."""
        return self._answers() and self.truth > counted

    def _answers(self) -> bool:
        self.check_running()
        method, path = self.app.reads[0]
        with suppress(httpx.HTTPError):
            url = f"{self.url}{path}"
            return httpx.request(method, url, trust_env=False, timeout=10).is_success
        return False

"""Play a guide as its reader would: write its programs, type its commands, compare the answers."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_ports
from support.documents.markdown import ROOT, Block, Command, Mark, blocks, commands
from support.exporter.exporter_process import clean_environment
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until

POSTGRES, APP, WEB, OTLP = 5432, 8000, 9736, 9737
"""The ports that the guides name; each play has free ones in their place."""

READY = re.compile(r"watches |Application startup complete|Uvicorn running|: ready")
"""What a program says once it can be asked: the exporter, uvicorn, the guides' own scripts."""

ANSWER_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Guide:
    """A document that is played from its first block to its last; `least` blocks, to be sure."""

    document: str
    least: int

    def __str__(self) -> str:
        return self.document


GUIDES = (
    Guide("docs/quickstart.md", least=5),
    Guide("docs/fastapi.md", least=5),
    Guide("docs/asyncpg.md", least=4),
    Guide("docs/psycopg-and-django.md", least=6),
    Guide("docs/workers.md", least=4),
    Guide("docs/zero-code.md", least=4),
    Guide("docs/opentelemetry.md", least=5),
)


class Play:
    """One reading of a guide, in a folder and on ports of its own."""

    def __init__(self, guide: Guide, folder: Path, server: EmbeddedPostgres) -> None:
        self._guide = guide
        self._folder = folder
        self._server = server
        ports = [server.port, *held_ports(3)]
        self._ports = dict(zip((POSTGRES, APP, WEB, OTLP), ports, strict=True))
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # some hang for ever, on purpose
            process.wait()

    def run(self) -> int:
        """Play every block that is marked for it; return how many there were."""
        played = [block for block in blocks(ROOT / self._guide.document) if self._is_ours(block)]
        for block in played:
            self._play(block)
        return len(played)

    def _is_ours(self, block: Block) -> bool:
        return block.mark in (Mark.FILE, Mark.RUN)

    def _play(self, block: Block) -> None:
        if block.mark is Mark.FILE:
            file = self._folder / block.argument
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self._here(block.text))
        elif block.language == "sql":
            run_sql(self._server.dsn, block.text)
        else:
            for command in commands(block):
                self._type(block, command)

    def _type(self, block: Block, command: Command) -> None:
        if block.argument == "until the end":
            self._start(block, command)
        else:
            answers: list[str] = []
            assert wait_until(lambda: self._is_answered(command, answers), ANSWER_WITHIN_S), (
                f"{block}: $ {command.typed}\n{answers[-1]}"
            )

    def _start(self, block: Block, command: Command) -> None:
        log = self._folder / f"log-{len(self._started)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", self._here(command.typed)],
                cwd=self._folder, env=self._environment(), stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        said = answer_pattern(command)
        assert wait_until(
            lambda: bool(READY.search(log.read_text()) and said.search(self._there(log))),
            ANSWER_WITHIN_S,
        ), f"{block}: $ {command.typed}\n{self._there(log)}"

    def _is_answered(self, command: Command, answers: list[str]) -> bool:
        """Type the command again, until it answers as documented; then never more."""
        pattern = answer_pattern(command)
        if not (answers and pattern.fullmatch(answers[-1])):
            answers.append(self._ask(command).strip())
        return pattern.fullmatch(answers[-1]) is not None

    def _ask(self, command: Command) -> str:
        done = subprocess.run(
            ["bash", "-c", self._here(command.typed)],
            cwd=self._folder, env=self._environment(), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return self._documented(done.stdout + done.stderr)

    def _environment(self) -> dict[str, str]:
        """Return ours, with ports of this play and a pace that does not keep a test waiting."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return clean_environment(
            PATH=path,
            PYTHONUNBUFFERED="1",
            UVICORN_PORT=str(self._ports[APP]),
            POOLSCOPE_LISTEN=f"{HOST}:{self._ports[WEB]}",
            POOLSCOPE_OTLP_LISTEN=f"{HOST}:{self._ports[OTLP]}",
            POOLSCOPE_ENDPOINT=f"http://{HOST}:{self._ports[OTLP]}",
            POOLSCOPE_PUSH_INTERVAL_S="0.3",
            POOLSCOPE_POLL_INTERVAL_S="0.3",
        )

    def _here(self, text: str) -> str:
        """Return the text with the ports of this play."""
        ports = "|".join(map(str, self._ports))
        return re.sub(
            rf'(\b{HOST}:|"PORT": ")({ports})\b',
            lambda found: f"{found[1]}{self._ports[int(found[2])]}",
            text,
        )

    def _there(self, log: Path) -> str:
        return self._documented(log.read_text())

    def _documented(self, text: str) -> str:
        """Return the text with the ports of the document."""
        for documented, here in self._ports.items():
            text = re.sub(rf"\b{here}\b", str(documented), text)
        return text


def answer_pattern(command: Command) -> re.Pattern[str]:
    """Return what matches the documented answer; `…`, or no answer, stands for anything."""
    lines = "\n".join(command.answer).strip() or "…"
    return re.compile(".*?".join(map(re.escape, lines.split("…"))), re.DOTALL)

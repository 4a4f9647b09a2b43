"""Run the commands of a runbook as its reader does, and return the answers."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.runbooks.commands import EXPORTER, variables


def ask_the_api(
    command: str, labels: Mapping[str, str], exporter: str, folder: Path
) -> dict[str, Any]:
    """Run a request in a shell that has the placeholders as variables; return its JSON.

    An answer that the command writes into a file is read from there.
    """
    done = in_a_shell(command, labels, exporter, folder)
    _, _, file = command.partition(" > ")
    answer: dict[str, Any] = json.loads((folder / file).read_text() if file else done)
    return answer


def in_a_shell(command: str, labels: Mapping[str, str], exporter: str, folder: Path) -> str:
    """Run a command against an exporter at that address; return its output."""
    assert EXPORTER in command
    done = subprocess.run(
        ["bash", "-euc", command.replace(EXPORTER, exporter).replace("curl ", "curl --fail ", 1)],
        env={**os.environ, **variables(labels), "no_proxy": "127.0.0.1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def rows_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an answer of the API."""
    [name] = answer.keys() & {"checkouts", "pools"}
    return list(answer[name])

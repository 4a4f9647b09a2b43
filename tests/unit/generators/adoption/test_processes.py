"""A process that has ended is not mistaken for an application in calm traffic."""

from pathlib import Path
from typing import Any

import pytest

from adoption.processes import AppProcesses
from adoption.table import BY_NAME


class AProcess:
    """A double of a process that returns its exit status, or None while it runs."""

    def __init__(self, status: int | None) -> None:
        self._status = status

    def poll(self) -> int | None:
        return self._status


def processes_with(folder: Path, *statuses: int | None) -> AppProcesses:
    server: Any = None
    found = AppProcesses(BY_NAME["celery"], server, folder, folder, None)
    found.running.extend(map(AProcess, statuses))  # type: ignore[arg-type] # it has all that is read
    return found


def test_processes_that_run_are_no_fault(tmp_path: Path) -> None:
    processes_with(tmp_path, None, None).check_running()


def test_process_that_has_ended_is_a_fault_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_text("Unrecoverable error")
    with pytest.raises(AssertionError, match="celery ended: Unrecoverable error"):
        processes_with(tmp_path, None, 1).check_running()

"""The keeper saves incidents while the exporter runs, and no disk can stop it."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest

from poolscope_exporter.core.incidents.incident import Incident
from poolscope_exporter.core.incidents.incident_log import IncidentChanges, IncidentLog
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.state import incident_keeper as module
from poolscope_exporter.state.incident_file import NAME, IncidentFile, StateError
from poolscope_exporter.state.incident_keeper import IncidentKeeper
from support.exporter.incident_looks import EPOCH_S, a_look, a_state, an_incident, observed


class BrokenFile(IncidentFile):
    """A file on a disk that fails, or does not answer until `answers` is set."""

    def __init__(self, folder: Path, trouble: Exception | None = None) -> None:
        super().__init__(folder)
        self.trouble = trouble
        self.answers = threading.Event()
        self.writes = 0

    def read_incidents(self) -> tuple[list[Incident], int]:
        if self.trouble is None:
            self.answers.wait()
        return super().read_incidents()

    def write_changes(self, changes: IncidentChanges, *, is_complete: bool) -> None:
        self.writes += 1
        if self.trouble:
            raise self.trouble
        super().write_changes(changes, is_complete=is_complete)


def a_keeper(log: IncidentLog, file: IncidentFile) -> IncidentKeeper:
    return IncidentKeeper(log, file, lambda: (100.0, EPOCH_S + 100.0))


def in_trouble() -> IncidentLog:
    log = IncidentLog()
    observed(log, a_look(0.0, a_state(Diagnosis.LEAKING, waiting=3)))
    return log


async def test_an_incident_is_there_again_after_a_restart(tmp_path: Path) -> None:
    log, stop = in_trouble(), asyncio.Event()
    keeper = a_keeper(log, IncidentFile(tmp_path))
    stop.set()
    await keeper.run(stop)
    keeper._file.close()

    later = IncidentLog()
    next_keeper = a_keeper(later, IncidentFile(tmp_path))
    await next_keeper.open_file()
    next_keeper._file.close()

    (again,) = later.newest_first()
    assert again.id == log.newest_first()[0].id
    assert again.worst == log.newest_first()[0].worst
    assert next_keeper.is_saving


async def test_a_damaged_file_is_moved_aside_with_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).write_bytes(b"garbage" * 1000)
    keeper = a_keeper(IncidentLog(), IncidentFile(tmp_path))
    await keeper.open_file()
    keeper._file.close()

    (line,) = caplog.messages
    assert "moved aside to" in line
    assert keeper.is_saving


async def test_a_disk_that_fails_is_logged_once_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log = in_trouble()
    file = BrokenFile(tmp_path, StateError("database or disk is full"))
    keeper = a_keeper(log, file)
    file.answers.set()
    assert [await keeper._save() for _ in range(3)] == [False, False, False]
    assert not keeper.is_saving
    assert keeper.failures == 3
    file.trouble = None
    assert await keeper._save()
    file.close()

    assert ["disk is full" in line for line in caplog.messages] == [True, False]
    incidents, _ = IncidentFile(tmp_path).read_incidents()
    assert [each.id for each in incidents] == [log.newest_first()[0].id]


async def test_an_error_that_nobody_expected_does_not_end_the_keeper(tmp_path: Path) -> None:
    file = BrokenFile(tmp_path, RuntimeError("can't start new thread"))
    file.answers.set()
    keeper = a_keeper(in_trouble(), file)

    assert not await keeper._save()
    assert keeper.failures == 1
    file.close()


async def test_a_disk_that_does_not_answer_delays_neither_start_nor_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "OPENING_S", 0.01)
    monkeypatch.setattr(module, "DRAIN_S", 0.01)
    file, stop = BrokenFile(tmp_path), asyncio.Event()
    keeper = a_keeper(in_trouble(), file)
    await keeper.open_file()
    running = asyncio.create_task(keeper.run(stop))
    await asyncio.sleep(0)
    stop.set()
    await running

    assert "does not answer" in caplog.text
    assert not keeper.is_saving
    file.answers.set()


async def test_a_file_that_opens_late_adds_its_incidents_to_those_in_memory(tmp_path: Path) -> None:
    first = IncidentFile(tmp_path)
    first.read_incidents()
    old = an_incident(began_at_s=EPOCH_S - 1000)
    first.write_changes(IncidentChanges((old,), frozenset()), is_complete=True)
    first.close()
    log = in_trouble()
    keeper = a_keeper(log, IncidentFile(tmp_path))

    assert await keeper._save()
    keeper._file.close()
    assert len(log.newest_first()) == 2
    incidents, _ = IncidentFile(tmp_path).read_incidents()
    assert len(incidents) == 2


async def test_a_change_of_a_failed_write_is_in_the_next_one(tmp_path: Path) -> None:
    log, file = in_trouble(), BrokenFile(tmp_path)
    file.answers.set()
    keeper = a_keeper(log, file)
    assert await keeper._save()
    file.trouble = StateError("database or disk is full")
    observed(log, a_look(1.0, a_state(Diagnosis.LEAKING, waiting=8)))
    assert not await keeper._save()
    file.trouble = None
    assert await keeper._save()
    file.close()

    incidents, _ = IncidentFile(tmp_path).read_incidents()
    assert [each.worst.waiting for each in incidents] == [8]

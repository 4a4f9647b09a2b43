"""The state file keeps the incidents over a restart, within its size, or is moved aside."""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolscope_exporter.core.incidents.incident import Incident, ReportedTimeout
from poolscope_exporter.core.incidents.incident_log import IncidentChanges
from poolscope_exporter.receiver.attributes import MAX_REPORT_LENGTH
from poolscope_exporter.state import incident_file as module
from poolscope_exporter.state.incident_file import (
    ASIDE,
    MAX_BYTES,
    NAME,
    IncidentFile,
    StateError,
    UnreadableStateError,
)
from support.exporter.incident_looks import EPOCH_S, a_full_incident, an_incident


def changes(*incidents: Incident) -> IncidentChanges:
    return IncidentChanges(incidents, frozenset(each.id for each in incidents))


def an_open_file(folder: Path) -> IncidentFile:
    file = IncidentFile(folder)
    file.read_incidents()
    return file


def stored(folder: Path) -> list[Incident]:
    file = IncidentFile(folder)
    incidents, _ = file.read_incidents()
    file.close()
    return sorted(incidents, key=lambda each: each.id)


def test_a_written_incident_is_read_again_as_it_was(tmp_path: Path) -> None:
    file, incident = an_open_file(tmp_path / "new" / "folder"), a_full_incident()
    file.write_changes(changes(incident), is_complete=False)
    file.close()

    assert stored(tmp_path / "new" / "folder") == [incident]


@given(text=st.text(max_size=300))
def test_every_text_of_a_sender_can_be_stored(text: str) -> None:
    incident = a_full_incident(text)
    [(_, body)] = module._rows([incident])

    assert module._read(body) == incident


def test_incidents_that_are_not_kept_are_deleted(tmp_path: Path) -> None:
    file = an_open_file(tmp_path)
    first, second = an_incident(1), an_incident(2)
    file.write_changes(changes(first, second), is_complete=False)
    file.write_changes(IncidentChanges((second,), frozenset()), is_complete=False)
    file.close()

    assert stored(tmp_path) == [second]


@pytest.mark.parametrize("is_complete", [True, False])
def test_after_a_failure_all_incidents_are_written(tmp_path: Path, is_complete: bool) -> None:
    file, incident = an_open_file(tmp_path), an_incident()
    file.write_changes(IncidentChanges((incident,), frozenset()), is_complete=is_complete)
    file.close()

    assert stored(tmp_path) == ([incident] if is_complete else [])


def test_only_this_user_may_read_the_file(tmp_path: Path) -> None:
    an_open_file(tmp_path).close()
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


def another_layout(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


def half_a_file(path: Path) -> None:
    file = an_open_file(path.parent)
    file.write_changes(changes(*(an_incident(n) for n in range(50))), is_complete=True)
    file.close()
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database" * 1000),
        lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), MAX_BYTES + 1),
        another_layout,
        half_a_file,
    ],
    ids=["garbage", "too large", "another layout", "cut off"],
)
def test_a_file_that_cannot_be_read_is_moved_aside_and_replaced(
    tmp_path: Path, damage: object
) -> None:
    damage(tmp_path / NAME)  # type: ignore[operator]
    file = IncidentFile(tmp_path)
    with pytest.raises(UnreadableStateError):
        file.read_incidents()

    assert file.move_aside() == tmp_path / ASIDE
    assert file.read_incidents() == ([], 0)
    assert (tmp_path / ASIDE).exists()


def test_an_incident_of_another_version_is_left_out_and_the_others_are_kept(tmp_path: Path) -> None:
    file = an_open_file(tmp_path)
    file.write_changes(changes(an_incident()), is_complete=False)
    file.close()
    database = sqlite3.connect(tmp_path / NAME)
    with database:
        database.execute("INSERT INTO incidents VALUES ('x', '{}'), ('y', X'FF'), ('z', NULL)")
    database.close()

    assert IncidentFile(tmp_path).read_incidents() == ([an_incident()], 3)


def test_an_incident_of_an_exporter_without_reports_is_read_and_the_reverse(
    tmp_path: Path,
) -> None:
    incident = a_full_incident()
    [(_, body)] = module._rows([incident])
    stored_before = {
        name: value for name, value in json.loads(body).items() if name != "timeout_report"
    }
    stored_later = {**json.loads(body), "of_a_later_version": {"at_s": 1.0}}

    earlier, later = (
        module._read(json.dumps(each).encode()) for each in (stored_before, stored_later)
    )
    assert earlier == replace(incident, timeout_report=None)
    assert later == incident


def test_a_second_exporter_cannot_use_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_TIMEOUT_S", 0.0)
    first = an_open_file(tmp_path)
    with pytest.raises(StateError, match="another exporter uses it"):
        IncidentFile(tmp_path).read_incidents()
    first.close()


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = an_open_file(tmp_path)
    file.write_changes(changes(an_incident()), is_complete=False)
    assert file._database
    file._database.execute("PRAGMA max_page_count = 1")  # as a disk without room for another page
    many = tuple(an_incident(number) for number in range(2, 60))
    with pytest.raises(StateError, match="full"):
        file.write_changes(changes(*many), is_complete=False)
    file.close()

    assert stored(tmp_path) == [an_incident()]


def test_a_folder_that_cannot_be_made_is_an_error_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="Not a directory"):
        IncidentFile(tmp_path / "file" / "state").read_incidents()


def test_after_10000_incidents_the_file_is_within_its_size(tmp_path: Path) -> None:
    file = an_open_file(tmp_path)
    largest = a_full_incident("\N{SNAKE}" * 160)
    kept: list[Incident] = []
    for batch in range(400):
        is_last = batch >= 398
        new = [
            a_large(largest, number) if is_last else an_incident(number)
            for number in range(batch * 25, batch * 25 + 25)
        ]
        kept = [*kept[-25:], *new]
        ids = frozenset(each.id for each in new)
        file.write_changes(IncidentChanges(tuple(kept), ids), is_complete=False)
    file.close()

    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < MAX_BYTES
    assert len(stored(tmp_path)) == 50


def a_large(incident: Incident, number: int) -> Incident:
    """Return an incident with every list as long as it may be."""
    worst = replace(
        incident.worst,
        reasons=incident.worst.reasons[:1] * 10,
        holders=incident.worst.holders * 10,
        keeping_lines=incident.worst.keeping_lines * 10,
        waiters=incident.worst.waiters * 10,
    )
    return replace(
        incident,
        id=f"incident{number}",
        worst=worst,
        first_timeout=worst,
        timeout_report=ReportedTimeout(EPOCH_S, "\N{SNAKE}" * 160, "\N{SNAKE}" * MAX_REPORT_LENGTH),
        changes=incident.changes * 30,
        timeline=incident.timeline * 60,
    )

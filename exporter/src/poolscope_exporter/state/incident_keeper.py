"""Save the incidents while the exporter runs: in one thread, so that no disk can stop the loop."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from poolscope_exporter.core.incidents.incident import Incident
from poolscope_exporter.core.incidents.incident_log import IncidentChanges, IncidentLog
from poolscope_exporter.state.incident_file import IncidentFile, UnreadableStateError
from poolscope_exporter.threads.daemon_threads import DaemonThreads

EVERY_S: Final = 1.0
RETRY_S: Final = 30.0
"""The time between two attempts while the file cannot be written."""

OPENING_S: Final = 5.0
"""The start of the exporter waits for the file at most this long."""

DRAIN_S: Final = 2.0
"""The end of the exporter waits for the last write at most this long."""

_log = logging.getLogger("poolscope_exporter")


class IncidentKeeper:
    """The writer of the file; while that fails, all incidents are still in memory.

    `failures` counts the attempts to open or write the file that failed. `clocks` returns the
    monotonic time and the seconds since the epoch.
    """

    def __init__(
        self, log: IncidentLog, file: IncidentFile, clocks: Callable[[], tuple[float, float]]
    ) -> None:
        self.failures = 0
        self._incidents = log
        self._file = file
        self._clocks = clocks
        self._threads = DaemonThreads("state")
        self._opening: asyncio.Task[tuple[list[Incident], int]] | None = None
        self._is_open = False
        self._is_stale = False
        self._trouble: str | None = None

    @property
    def is_saving(self) -> bool:
        """Return whether the incidents would survive a restart now."""
        return self._is_open and self._trouble is None

    async def open_file(self) -> None:
        """Take up the stored incidents; if the disk does not answer in time, go on without them."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._open()), OPENING_S)
            return
        self._report("the disk does not answer")

    async def run(self, stop: asyncio.Event) -> None:
        """Save each change until `stop` is set, then save the last one."""
        stopped = asyncio.ensure_future(stop.wait())
        while True:
            saving = asyncio.ensure_future(self._save())
            await asyncio.wait({saving, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                break
            await asyncio.wait({stopped}, timeout=EVERY_S if saving.result() else RETRY_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await saving
                await self._save()

    async def _open(self) -> bool:
        """Return whether the file is open; several callers wait for one attempt."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._threads.run(_read_or_replace, self._file))
        try:
            stored, unreadable = await asyncio.shield(self._opening)
        except Exception as exc:  # noqa: BLE001 - no trouble with a disk may end the exporter
            self._opening = None
            self._report(str(exc))
            return False
        self._opening = None
        if not self._is_open:
            self._incidents.resume_incidents(stored, *self._clocks())
            self._is_open = self._is_stale = True
            if unreadable:
                _log.warning("%d incidents in %s are of another version", unreadable, self._file)
        return True

    async def _save(self) -> bool:
        """Return whether the file has all incidents."""
        if not self._is_open and not await self._open():
            return False
        changes = self._incidents.take_changes()
        if changes is None and not self._is_stale:
            return True
        return await self._write(
            changes or IncidentChanges(self._incidents.newest_first(), frozenset())
        )

    async def _write(self, changes: IncidentChanges) -> bool:
        is_complete, self._is_stale = self._is_stale, True
        try:
            await self._threads.run(_write_or_replace, self._file, changes, is_complete)
        except Exception as exc:  # noqa: BLE001 - as above
            self._report(str(exc))
            return False
        self._is_stale = False
        if self._trouble is not None:
            _log.info("incidents are saved in %s again", self._file)
            self._trouble = None
        return True

    def _report(self, trouble: str) -> None:
        """Count a failure, and log it if it is not the same as the last one."""
        self.failures += 1
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning(
                "incidents are not saved in %s: %s. They are lost at a restart; check --state-dir",
                self._file,
                trouble,
            )


def _read_or_replace(file: IncidentFile) -> tuple[list[Incident], int]:
    try:
        return file.read_incidents()
    except UnreadableStateError as exc:
        _move_aside(file, exc)
        return file.read_incidents()


def _write_or_replace(file: IncidentFile, changes: IncidentChanges, is_complete: bool) -> None:
    try:
        file.write_changes(changes, is_complete=is_complete)
    except UnreadableStateError as exc:
        _move_aside(file, exc)
        file.read_incidents()
        file.write_changes(changes, is_complete=True)


def _move_aside(file: IncidentFile, why: UnreadableStateError) -> None:
    _log.warning("%s cannot be read (%s): moved aside to %s", file, why, file.move_aside())

"""Read a pool without an error for the caller, even after the pool is gone."""

from collections.abc import Callable, Mapping
from typing import Any

from poolscope.recording.pool import PoolConfiguration, PoolReader, PoolState, Slot

NO_CONNECTIONS = PoolState(0, 0)
"""The state of a pool that is gone: it has no connections."""


class ContainedReader:
    """A reader of a pool that returns None if the library cannot be read in the known way.

    One push has all pools: a pool that cannot be read must not cost the data of the others. The
    settings of a pool that is gone are its last ones.
    """

    def __init__(self, reader: PoolReader, contain: Callable[[Exception], None]) -> None:
        self._reader = reader
        self._contain = contain
        self._configuration: PoolConfiguration | None = None

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:
        """Return the numbers of used and idle connections; None if unknown."""
        is_read, state = self._read("state", slots)
        return NO_CONNECTIONS if is_read and state is None else state

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings; None if unknown."""
        _, configuration = self._read("configuration")
        self._configuration = configuration or self._configuration
        return self._configuration

    def open_connection(self, slots: Mapping[Any, Slot]) -> Any:
        """Return an open connection; None if there is none."""
        return self._read("open_connection", slots)[1]

    def is_closed(self) -> bool:
        """Return whether the pool can never be used again; False if unknown."""
        return bool(self._read("is_closed")[1])

    def _read(self, name: str, *arguments: Any) -> tuple[bool, Any]:
        """Return whether a method of the reader raised no error, and its result."""
        try:
            return True, getattr(self._reader, name)(*arguments)
        except Exception as error:  # noqa: BLE001 - the library may have changed, the pool be broken
            self._contain(error)
            return False, None

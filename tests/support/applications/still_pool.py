"""A pool that nothing happens to, as its reader sees it."""

from collections.abc import Mapping
from typing import Any

from poolscope.recording.pool import PoolConfiguration, PoolState, Slot


class StillPool:
    """A reader of a pool; its connections that are out are those of the slots."""

    def __init__(self, *, most: int = 5) -> None:
        self.most = most
        self.closed = False

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:
        used = sum(slot.out is not None for slot in slots.values())
        return PoolState(used, len(slots) - used)

    def configuration(self) -> PoolConfiguration | None:
        return PoolConfiguration("StillPool", "still", max=self.most)

    def open_connection(self, slots: Mapping[Any, Slot]) -> Any:
        return None

    def is_closed(self) -> bool:
        return self.closed

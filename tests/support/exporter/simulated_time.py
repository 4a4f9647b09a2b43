"""Time that passes only while somebody waits for it, so that a loop of minutes ends at once."""

import asyncio
from collections.abc import Callable


class SimulatedTime:
    """A clock and the wait that goes with it; actions happen at the times they are planned for."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._planned: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now_s

    def at(self, at_s: float, action: Callable[[], None]) -> None:
        """Plan an action; it happens in the first wait that reaches its time."""
        self._planned.append((at_s, action))

    async def wait(self, seconds: float, *events: asyncio.Event) -> None:
        """Let the time pass, or a part of it where an event is set by a planned action."""
        until_s = self.now_s + max(0.0, seconds)
        while not any(event.is_set() for event in events):
            due = min((at_s for at_s, _ in self._planned if at_s <= until_s), default=None)
            if due is None:
                self.now_s = until_s
                return
            self._act(due)

    def _act(self, due_s: float) -> None:
        self.now_s = max(self.now_s, due_s)
        action = next(each for each in self._planned if each[0] == due_s)
        self._planned.remove(action)
        action[1]()

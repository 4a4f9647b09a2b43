"""Wait for a time or for an event, until the first of them."""

import asyncio
from typing import Protocol


class Wait(Protocol):
    """A wait for any of the events, for at most `seconds`; tests pass a wait that takes no time."""

    async def __call__(self, seconds: float, *events: asyncio.Event) -> None:
        """Return when an event is set or the time is over."""


async def wait_for_any(seconds: float, *events: asyncio.Event) -> None:
    """Wait for any of the events, for at most `seconds`."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=max(0.0, seconds), return_when="FIRST_COMPLETED")
    finally:
        for task in waiting:
            task.cancel()

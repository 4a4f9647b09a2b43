"""An app that calls its database a few times per second, whatever happens to the database.

It prints a line when calls begin to fail or to succeed again: the word `failing` or `serving`, the
time by the machine's monotonic clock, and the error. It looks up the database by the name that a
file holds at that moment. Run by `python -m` in a process of its own.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

import poolscope

poolscope.instrument()

CALLERS = 3
"""One more than the pool keeps, so that connections are opened all the time."""

PAUSE_S = 0.3
TIMEOUT_S = 3
HOST_FILE = Path(os.environ["CALLING_HOST_FILE"])

engine = create_async_engine(
    os.environ["CALLING_DATABASE_URL"],
    pool_size=2,
    max_overflow=3,
    pool_timeout=10,
    pool_pre_ping=True,
    connect_args={"timeout": TIMEOUT_S, "command_timeout": TIMEOUT_S},
)


@event.listens_for(engine.sync_engine, "do_connect")
def use_current_host(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
    parameters["host"] = HOST_FILE.read_text(encoding="utf-8")


async def call() -> str:
    """Return "" for a call that succeeded, or the class of its error."""
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(0.1)"))
    except Exception as exc:  # noqa: BLE001 - the drivers' errors have no class in common
        return type(exc).__name__
    return ""


class Journal:
    """Prints when the outcome of calls changes."""

    def __init__(self) -> None:
        self._is_failing = False

    def note(self, error: str) -> None:
        if bool(error) != self._is_failing:
            self._is_failing = bool(error)
            word = "failing" if error else "serving"
            sys.stdout.write(f"{word} {time.monotonic():.3f} {error}\n")
            sys.stdout.flush()


async def go_on_calling(journal: Journal) -> None:
    while True:
        journal.note(await call())
        await asyncio.sleep(PAUSE_S)


async def main() -> None:
    journal = Journal()
    await asyncio.gather(*(go_on_calling(journal) for _ in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())

"""The demo's shop, which records itself what its connections are out for.

Its payment provider is an HTTP server at `PAYMENT_URL`. `GET /truth` returns connection seconds: of
all connections that were out, of statements of the database, and of calls of httpx.
"""

import os
from time import perf_counter
from typing import Any

import httpx
from sqlalchemy import event

from poolscope_exporter.demo import sample_app

REPORT_S = 0.4
"""How long the database works for a report."""

app = sample_app.app
_engine = sample_app.engine.sync_engine
_since_s: dict[int, float] = {}
_seconds = {"held": 0.0, "database": 0.0, "httpx": 0.0}


async def ask_payment_provider() -> None:
    """Wait for the payment provider."""
    began_s = perf_counter()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        await client.post(os.environ["PAYMENT_URL"])  # keeps
    _seconds["httpx"] += perf_counter() - began_s


sample_app.REPORT_S = REPORT_S  # type: ignore[assignment] # a whole number in the demo
sample_app.ask_payment_provider = ask_payment_provider


@event.listens_for(_engine, "checkout")
def note_checkout(_: Any, record: Any, __: Any) -> None:
    _since_s[id(record)] = perf_counter()


@event.listens_for(_engine, "checkin")
def note_checkin(_: Any, record: Any) -> None:
    _seconds["held"] += perf_counter() - _since_s.pop(id(record))


@event.listens_for(_engine, "before_cursor_execute")
def note_begin(connection: Any, *_: Any) -> None:
    connection.info["began_s"] = perf_counter()


@event.listens_for(_engine, "after_cursor_execute")
def note_end(connection: Any, *_: Any) -> None:
    _seconds["database"] += perf_counter() - connection.info.pop("began_s")


@app.get("/truth")
async def show_truth() -> dict[str, float]:
    """Return the seconds; connections that are still out count as held until now."""
    still_out_s = sum(perf_counter() - since_s for since_s in _since_s.values())
    return {**_seconds, "held": _seconds["held"] + still_out_s}

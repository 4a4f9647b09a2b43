"""Report the unit of work to which a leaked connection belongs, once per run of a program."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from sqlalchemy import QueuePool, create_engine

import poolscope
from poolscope.clock import monotonic
from poolscope.instrumentation import active
from poolscope.recording.leaks import gone_owner
from poolscope.recording.requests import Request

KEPT: list[Any] = []
"""The connections that `leak` took: their owners are gone, and nobody returns them."""

_engine = create_engine("sqlite://", poolclass=QueuePool, connect_args={"check_same_thread": False})


def instrument() -> None:
    """Attach to the process, which has imported no framework yet."""
    poolscope.instrument(endpoint="http://127.0.0.1:9", push_interval_s=300)


def leak() -> str:
    """Take a connection and keep it; return a word for a response."""
    KEPT.append(_engine.connect())
    return "leaked"


def units() -> Iterator[Request | None]:
    instrumentation = active()
    assert instrumentation is not None
    assert instrumentation.registry.hook_errors == 0, instrumentation.registry.last_hook_error
    for pool in instrumentation.registry.pools:
        for checkout in pool.stats.open_checkouts():
            assert checkout.request is not None, "no unit of work took the connection"
            frames = sys._current_frames()
            evidence = gone_owner(checkout, frames, monotonic())
            name, kind = checkout.request.route, checkout.request.kind
            line = json.dumps({"kind": kind, "name": name, "evidence": evidence})
            sys.stdout.write(line + "\n")
            yield checkout.request


def report() -> None:
    """Print the unit of the one leaked connection, with the evidence at this moment."""
    assert len(list(units())) == 1
    for connection in KEPT:
        connection.close()
    KEPT.clear()
    _engine.dispose()

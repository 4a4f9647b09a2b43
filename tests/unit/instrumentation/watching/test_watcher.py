"""The watcher's thread does all of its work every second, also if a part of it fails."""

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest

import poolscope
from poolscope.recording.registry import Registry
from poolscope.units.lifespan import run_lifespan
from poolscope.watching import watcher as watching
from poolscope.watching.watcher import Watcher
from support.applications.apps import NOWHERE
from support.processes.child_processes import wait_until


@pytest.mark.parametrize("broken", ["look_at_loops", "ask_loops", "named_pools"])
def test_a_part_that_fails_costs_neither_the_others_nor_a_processor(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(watching, "TICK_S", 0.02)
    registry, calls = Registry(), Counter[str]()
    watcher = Watcher(registry)

    def count(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            if name == broken:
                raise RuntimeError(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(watcher.loops, "look_at_loops")
    count(watcher.loops, "ask_loops")
    count(registry, "named_pools")
    watcher.start()
    assert wait_until(lambda: len(calls) == 3 and min(calls.values()) >= 5)
    watcher.stop()
    assert max(calls.values()) - min(calls.values()) <= 2
    assert registry.hook_errors == calls[broken]
    assert registry.last_hook_error == f"RuntimeError: {broken}"


def test_an_application_starts_where_there_is_no_room_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instrumentation = poolscope.instrument(endpoint=NOWHERE)
    assert instrumentation is not None
    sent: list[Any] = []

    def no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_room)
        asyncio.run(
            run_lifespan(app, {"type": "lifespan"}, receive, send, instrumentation.registry)
        )
    assert sent == [{"type": "lifespan.startup.complete"}]
    assert "can't start new thread" in str(instrumentation.registry.last_hook_error)
    instrumentation.uninstrument()

"""Join the parts inside an application: settings, adapters, registry and pusher."""

import atexit
import importlib
import importlib.util
import multiprocessing.util
import os
from collections.abc import Callable
from typing import Any

from opentelemetry.metrics import MeterProvider

from poolscope.pushing.pusher import Pusher
from poolscope.recording.registry import Registry
from poolscope.settings import Settings, read_settings

ADAPTERS = {
    "asyncpg": "poolscope.adapters.asyncpg.install",
    "psycopg_pool": "poolscope.adapters.psycopg_pool.install",
    "sqlalchemy": "poolscope.adapters.sqlalchemy.install",
    "starlette": "poolscope.adapters.starlette",
}
"""The package that must be installed, and our module that attaches to it."""


class Instrumentation:
    """What `instrument()` started; `uninstrument()` takes all of it away."""

    def __init__(self, settings: Settings, provider: MeterProvider | None) -> None:
        self.settings = settings
        self.registry = Registry(max_pools=settings.max_pools, max_routes=settings.max_routes)
        self.pusher = Pusher(settings, self.registry, provider)
        self.registry.on_activity = self.pusher.start
        self.registry.on_shutdown = self.pusher.push_end
        self._undo: list[Callable[[], None]] = []
        for package, module in ADAPTERS.items():
            self._install(package, module)
        atexit.register(self.pusher.push_end)
        # Children of multiprocessing end without atexit, but run its own finalizers.
        multiprocessing.util.register_after_fork(self, Instrumentation.push_at_child_exit)

    def _install(self, package: str, module: str) -> None:
        """Attach to one library if it is there; a version that we do not fit costs its signal."""
        try:
            if importlib.util.find_spec(package) is not None:
                self._undo.append(importlib.import_module(module).install(self.registry))
        except Exception as error:  # noqa: BLE001 - the application starts, whatever we do not know
            self.registry.contain(error)

    def push_at_child_exit(self) -> None:
        """Push a last time when this child of multiprocessing ends."""
        if self._undo:
            multiprocessing.util.Finalize(None, self.pusher.push_end, exitpriority=1)

    def flush(self) -> None:
        """Push now, as if the process ended; returns within a second."""
        self.pusher.push_end()

    def uninstrument(self) -> None:
        """Detach from every pool and application, and push a last time."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        atexit.unregister(self.pusher.push_end)
        self.pusher.stop()
        _active.pop("instrumentation", None)

    def restart_in_child(self) -> None:
        """Count this child's own from zero, as an instance of its own."""
        self.registry.forget_counts()
        self.pusher.begin_in_child()


_active: dict[str, Instrumentation] = {}
"""The one instrumentation of the process: pools are patched at class level, so there is one."""


def start(provider: MeterProvider | None, **arguments: Any) -> Instrumentation | None:
    """Instrument the process once; a second call returns the first one's handle.

    Returns None when disabled. Raises `SettingsError` for wrong settings.
    """
    if "instrumentation" in _active:
        return _active["instrumentation"]
    settings = read_settings(arguments)
    if settings.disabled:
        return None
    return _active.setdefault("instrumentation", Instrumentation(settings, provider))


def name_pool(target: object, name: str) -> None:
    """Name a pool; raises ValueError where there is nothing to name, with the cure."""
    instrumentation = active()
    if instrumentation is not None and not instrumentation.registry.rename(target, name):
        raise ValueError(
            f"poolscope.name_pool() takes an engine or a pool that exists, not {type(target)}; "
            "an asyncpg pool exists once it is awaited"
        )


def active() -> Instrumentation | None:
    """Return what this process is instrumented with, or None."""
    return _active.get("instrumentation")


def _after_fork_in_child() -> None:
    for instrumentation in _active.values():
        instrumentation.restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

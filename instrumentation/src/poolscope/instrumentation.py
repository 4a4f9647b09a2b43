"""Connect the parts inside an application: settings, adapters, registry, watcher and pusher."""

import atexit
import importlib
import importlib.util
import multiprocessing.process
import multiprocessing.util
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from opentelemetry.metrics import MeterProvider

from poolscope.adapters.common.inherited_slots import mark_inherited
from poolscope.adapters.common.later_imports import LaterImports
from poolscope.process.termination import Termination
from poolscope.pushing.pusher import Pusher
from poolscope.recording.leaks import resume_collections_in_child
from poolscope.recording.registry import Registry
from poolscope.recording.traces.slow_notes import SLOW_WAIT_S
from poolscope.sending.lookups import LOOKUPS
from poolscope.settings import MetricsDestination, Settings, SettingsError, read_settings
from poolscope.watching.watcher import Watcher

ADAPTERS = {
    "asyncpg": "poolscope.adapters.asyncpg.install",
    "psycopg_pool": "poolscope.adapters.psycopg_pool.install",
    "sqlalchemy": "poolscope.adapters.sqlalchemy.install",
    "starlette": "poolscope.adapters.starlette",
}
"""The package that must be installed, and the poolscope module that attaches to it."""

LATER_ADAPTERS = {
    "aiohttp.web_app": "poolscope.adapters.frameworks.aiohttp",
    "apscheduler.executors.base": "poolscope.adapters.jobs.apscheduler",
    "arq.worker": "poolscope.adapters.jobs.arq",
    "celery.signals": "poolscope.adapters.jobs.celery",
    "django.core.handlers.asgi": "poolscope.adapters.frameworks.django_asgi",
    "django.core.handlers.base": "poolscope.adapters.frameworks.django",
    "django.core.management.base": "poolscope.adapters.frameworks.django_commands",
    "dramatiq.actor": "poolscope.adapters.jobs.dramatiq",
    "flask": "poolscope.adapters.frameworks.flask",
    "litestar.app": "poolscope.adapters.frameworks.litestar",
    "quart": "poolscope.adapters.frameworks.quart",
    "rq.worker": "poolscope.adapters.jobs.rq",
    "sanic.app": "poolscope.adapters.frameworks.sanic",
}
"""A module that the application imports, and the poolscope module that then attaches to it."""


class Instrumentation:
    """The running instrumentation that `instrument()` returns; `uninstrument()` undoes it."""

    def __init__(self, settings: Settings, provider: MeterProvider | None) -> None:
        self.settings = settings
        self.registry = Registry(
            max_pools=settings.max_pools,
            max_routes=settings.max_routes,
            pool_names=dict(settings.pool_names),
        )
        self.registry.slow_wait_s = settings.wait_span_after_s or SLOW_WAIT_S
        self.watcher = Watcher(
            self.registry,
            is_looking=settings.look,
            profile_hz=settings.profile_rate if settings.endpoints else 0.0,
        )
        self.pusher = Pusher(settings, self.registry, self.watcher, provider)
        self.watcher.on_leak = self.pusher.wake
        # The application must start even if the system has no room for another thread.
        self.registry.on_activity = self.registry.contained(self.start_threads)
        self.registry.on_shutdown = self.pusher.push_end
        self._termination = Termination(self.registry.contained(self.pusher.push_end))
        self._undo: list[Callable[[], None]] = []
        for package, module in ADAPTERS.items():
            self._install(package, module)
        self._later = LaterImports(
            {name: self._installer(module) for name, module in LATER_ADAPTERS.items()},
            self.registry.contain,
        )
        self._later.start()
        self._undo.append(self._later.stop)
        atexit.register(self.pusher.push_end)
        # Children of multiprocessing end without atexit, but run multiprocessing's finalizers.
        multiprocessing.util.register_after_fork(self, Instrumentation.push_at_child_exit)
        if multiprocessing.process.parent_process() is not None:
            self.push_at_child_exit()

    def publish_by(self, publish: "Publish") -> None:
        """Publish the aggregates through a library of the application, until `uninstrument()`."""
        self._undo.append(publish(self.pusher, self.registry.contain))

    def start_threads(self) -> None:
        """Start poolscope's threads, unless they run; the first use of a pool calls this."""
        self.watcher.known_loops.note_running_loop()
        self.watcher.start()
        self.pusher.start()
        self._termination.handle_signal()

    def _install(self, package: str, module: str) -> None:
        """Attach to one library if it is installed; an unsupported version costs only its data."""
        try:
            if importlib.util.find_spec(package) is not None:
                self._attach(module)
        except Exception as error:  # noqa: BLE001 - an unsupported library must not stop the start
            self.registry.contain(error)

    def _attach(self, module: str) -> None:
        self._undo.append(importlib.import_module(module).install(self.registry))

    def _installer(self, module: str) -> Callable[[], object]:
        """Return the function that attaches to a library which the application has imported."""
        return self.registry.contained(partial(self._attach, module))

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
        self._termination.stop()
        self.pusher.stop()
        self.watcher.stop()
        _active.pop("instrumentation", None)

    def restart_in_child(self) -> None:
        """Start counting at zero in a forked child, which reports as a separate instance."""
        self.registry.forget_counts()
        self.watcher.watch_child()
        for pool in self.registry.pools:
            mark_inherited(list(pool.stats.slots.values()))
        self.pusher.begin_in_child()


Publish = Callable[[Pusher, Callable[[Exception], None]], Callable[[], None]]
"""Begins to publish the pusher's samples; the second argument contains errors. Returns the undo."""

_active: dict[str, Instrumentation] = {}
"""The instrumentation of the process: pools are patched at class level, so there is only one."""


def start(
    provider: MeterProvider | None, prometheus_registry: object = None, **arguments: Any
) -> Instrumentation | None:
    """Instrument the process once; a second call returns the handle of the first one.

    Returns None if poolscope is disabled. Raises `SettingsError` for invalid settings.
    """
    if "instrumentation" in _active:
        return _active["instrumentation"]
    settings = read_settings(arguments)
    if settings.disabled:
        return None
    publish = _prometheus_publishing(settings, provider, prometheus_registry)
    instrumentation = _active.setdefault("instrumentation", Instrumentation(settings, provider))
    if publish is not None:
        instrumentation.publish_by(publish)
    return instrumentation


def _prometheus_publishing(
    settings: Settings, provider: MeterProvider | None, registry: object
) -> Publish | None:
    """Return the function that registers the collector; None if another publisher is chosen.

    Raises SettingsError before anything is attached, if the choice cannot work here.
    """
    if settings.metrics is not MetricsDestination.PROMETHEUS:
        if registry is not None:
            raise SettingsError("poolscope: prometheus_registry needs metrics='prometheus'")
        return None
    if provider is not None:
        raise SettingsError("poolscope: give either a meter_provider or metrics='prometheus'")
    try:
        module = importlib.import_module("poolscope.publishing.prometheus_collector")
    except ImportError as error:
        raise SettingsError(
            "poolscope: metrics='prometheus' needs the package prometheus-client; install it in"
            " the app's environment"
        ) from error
    publish: Publish = module.publishing_in(registry)
    return publish


def name_pool(target: object, name: str) -> None:
    """Name a pool; raise ValueError with the remedy if `target` is not a known pool."""
    instrumentation = active()
    if instrumentation is not None and not instrumentation.registry.rename(target, name):
        raise ValueError(
            f"poolscope.name_pool() takes an engine or a pool that exists, not {type(target)}. "
            "Await an asyncpg pool before you name it."
        )


def active() -> Instrumentation | None:
    """Return the instrumentation of this process, or None."""
    return _active.get("instrumentation")


def _after_fork_in_child() -> None:
    resume_collections_in_child()
    LOOKUPS.after_fork_in_child()
    for instrumentation in _active.values():
        instrumentation.restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOOKUPS.before_fork,
        after_in_parent=LOOKUPS.after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )

"""Measure every request of Django under ASGI, and answer the lifespan, which Django does not."""

from django.core.handlers.asgi import ASGIHandler  # type: ignore[import-untyped]

from poolscope.adapters.common.patching import Undo, replace
from poolscope.recording.registry import Registry
from poolscope.units.asgi import call_around


def install(registry: Registry) -> Undo:
    """Wrap the call of every handler, and return the function that removes the wrapper."""
    return replace(
        ASGIHandler, "__call__", lambda call: call_around(call, registry), registry.contain
    )

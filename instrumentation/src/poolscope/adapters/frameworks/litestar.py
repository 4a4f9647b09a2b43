"""Measure every request of Litestar applications; the template is in the scope."""

from litestar.app import Litestar

from poolscope.adapters.common.patching import Undo, replace
from poolscope.recording.registry import Registry
from poolscope.units.asgi import call_around


def install(registry: Registry) -> Undo:
    """Wrap the call of every application, and return the function that removes the wrapper."""
    return replace(Litestar, "__call__", lambda call: call_around(call, registry), registry.contain)

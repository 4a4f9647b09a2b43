"""Measure every message that a Dramatiq worker handles, under the name of its actor."""

from typing import Any

from dramatiq.actor import Actor

from poolscope.adapters.common.patching import Undo, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin_inside, end


def install(registry: Registry) -> Undo:
    """Wrap the call of every actor, and return the function that removes the wrapper."""

    def measured(original: Any) -> Any:
        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - takes its place
            unit = begin_inside(UnitKind.JOB, self.actor_name)
            try:
                return original(self, *args, **kwargs)
            finally:
                end(unit)

        return __call__

    return replace(Actor, "__call__", measured, registry.contain)

"""Measure every management command of Django, and name it after its module."""

from typing import Any

from django.core.management.base import BaseCommand  # type: ignore[import-untyped]

from poolscope.adapters.common.patching import Undo, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin_inside, end


def install(registry: Registry) -> Undo:
    """Wrap the execution of every command, and return the function that removes the wrapper."""

    def measured(original: Any) -> Any:
        def execute(self: BaseCommand, *args: Any, **options: Any) -> Any:
            unit = begin_inside(UnitKind.COMMAND, name_of(self))
            try:
                return original(self, *args, **options)
            finally:
                end(unit)

        return execute

    return replace(BaseCommand, "execute", measured, registry.contain)


def name_of(command: BaseCommand) -> str:
    """Return the name by which a command is called: `manage.py migrate`."""
    return f"manage.py {type(command).__module__.rpartition('.')[2]}"

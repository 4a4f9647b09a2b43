"""Measure every job of arq under the name of its function."""

from functools import wraps
from typing import Any

from arq.worker import Worker

from poolscope.adapters.common.patching import Undo, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin_inside, end


def install(registry: Registry) -> Undo:
    """Wrap the functions of every worker, and return the function that removes the wrapper."""

    @registry.contained
    def wrap_functions(worker: Worker) -> None:
        for name, function in worker.functions.items():
            function.coroutine = _measured(name, function.coroutine)

    def making(original: Any) -> Any:
        def __init__(self: Worker, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - takes its place
            original(self, *args, **kwargs)
            wrap_functions(self)

        return __init__

    return replace(Worker, "__init__", making, registry.contain)


def _measured(name: str, coroutine: Any) -> Any:
    @wraps(coroutine)
    async def run(*args: Any, **kwargs: Any) -> Any:
        unit = begin_inside(UnitKind.JOB, name)
        try:
            return await coroutine(*args, **kwargs)
        finally:
            end(unit)

    return run

"""Measure every job of APScheduler 3 under the name of its function."""

import sys
from typing import Any

from apscheduler.executors import base

from poolscope.adapters.common.patching import Undo, in_order, looking_like
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin_inside, end


def install(_: Registry) -> Undo:
    """Wrap the functions that run jobs, wherever they are imported; return what undoes it."""
    around = {"run_job": _around_call, "run_coroutine_job": _around_coroutine}
    found = [(name, getattr(base, name, None), wrap) for name, wrap in around.items()]
    return in_order(
        [
            _replace_everywhere(name, original, looking_like(original, wrap(original)))
            for name, original, wrap in found
            if original is not None  # until 3.10, the one for coroutines is elsewhere
        ]
    )


def _around_call(original: Any) -> Any:
    def run_job(job: Any, *args: Any) -> Any:
        unit = begin_inside(UnitKind.JOB, job.func_ref or job.id)
        try:
            return original(job, *args)
        finally:
            end(unit)

    return run_job


def _around_coroutine(original: Any) -> Any:
    async def run_coroutine_job(job: Any, *args: Any) -> Any:
        unit = begin_inside(UnitKind.JOB, job.func_ref or job.id)
        try:
            return await original(job, *args)
        finally:
            end(unit)

    return run_coroutine_job


def _replace_everywhere(name: str, original: Any, ours: Any) -> Undo:
    """Replace a function in each module of the executors that has imported it by its name."""
    modules = [module for key, module in list(sys.modules.items()) if _is_executor(key)]
    holding = [module for module in modules if getattr(module, name, None) is original]
    for module in holding:
        setattr(module, name, ours)

    def restore() -> None:
        for key, module in list(sys.modules.items()):
            if _is_executor(key) and getattr(module, name, None) is ours:
                setattr(module, name, original)

    return restore


def _is_executor(module: str) -> bool:
    return module.startswith("apscheduler.executors.")

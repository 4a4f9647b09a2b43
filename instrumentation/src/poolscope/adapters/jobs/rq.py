"""Measure every job of RQ under the name of its function; send the last push of each work horse."""

from typing import Any

from rq.job import Job
from rq.worker import Worker

from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.units.blocks import begin_inside, end


def install(registry: Registry) -> Undo:
    """Wrap the execution of every job, and return the function that removes the wrappers."""

    def performing(original: Any) -> Any:
        def perform(self: Job) -> Any:
            unit = begin_inside(UnitKind.JOB, self.func_name)
            try:
                return original(self)
            finally:
                end(unit)

        return perform

    horses = next(each for each in Worker.__mro__ if "perform_job" in vars(each))
    return in_order(
        [
            replace(Job, "perform", performing, registry.contain),
            replace(horses, "perform_job", _leaving(registry), registry.contain),
        ]
    )


def _leaving(registry: Registry) -> Any:
    """Return what measures `perform_job`: the process of a work horse then leaves by `os._exit`."""

    @registry.contained
    def send_last_push(worker: Any) -> None:
        if worker.is_horse:
            registry.on_shutdown()

    def leaving(original: Any) -> Any:
        def perform_job(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            finally:
                send_last_push(self)

        return perform_job

    return leaving

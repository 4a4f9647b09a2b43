"""Measure every task that a Celery worker runs, and send the last push of each process."""

from typing import Any

from celery import signals

from poolscope.adapters.common.patching import Undo, in_order
from poolscope.catalogue import UnitKind
from poolscope.recording.registry import Registry
from poolscope.recording.requests import Request
from poolscope.units.blocks import begin_alone, begin_inside, bounded_name, end


def install(registry: Registry) -> Undo:
    """Listen for tasks and for the ends of processes; return the function that ends that."""
    running: dict[str, Request] = {}

    @registry.contained
    def note_start(task_id: str = "", task: Any = None, **_: Any) -> None:
        name = getattr(task, "name", "")
        if getattr(getattr(task, "request", None), "is_eager", False):
            unit = begin_inside(UnitKind.JOB, name)
        else:
            unit = begin_alone(UnitKind.JOB, bounded_name(name))
        if unit is not None:
            running[task_id] = unit

    @registry.contained
    def note_end(task_id: str = "", **_: Any) -> None:
        end(running.pop(task_id, None))

    @registry.contained
    def note_process_end(**_: Any) -> None:
        """Push a last time: a child of the pool leaves by `os._exit`, without `atexit`."""
        registry.on_shutdown()

    connected = [
        (signals.task_prerun, note_start),
        (signals.task_postrun, note_end),
        (signals.worker_process_shutdown, note_process_end),
    ]
    for signal, receiver in connected:
        signal.connect(receiver, weak=False)
    return in_order([_disconnecting(signal, receiver) for signal, receiver in connected])


def _disconnecting(signal: Any, receiver: Any) -> Undo:
    return lambda: signal.disconnect(receiver)

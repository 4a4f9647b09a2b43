"""Measure what the loop watch costs a process that does nothing: CPU per second and event loop."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.idle_worker import IDLE_VARIANTS, UNWATCHED
from benchmarks.method import error_of_mean
from benchmarks.variants import BARE, OURS
from benchmarks.worker import READY
from support.processes.event_loops import EVENT_LOOPS, has_event_loop, python_path

TESTS = Path(__file__).parents[1]
NAMES = {f"loop watch, {each}": each for each in EVENT_LOOPS if has_event_loop(each)}
"""The event loops that can be measured, by the name of the measurement."""


@dataclass(frozen=True, slots=True)
class IdleCost:
    """Microseconds of CPU per second of an idle process with one event loop.

    `added_us` is what the threads that watch the loop, and the loop itself, need for the watch.
    """

    bare_us: float
    unwatched_us: float
    watched_us: float
    added_us: float
    added_error_us: float


class _IdleProcess:
    """One process of `benchmarks.idle_worker`."""

    def __init__(self, event_loop: str, variant: str, windows: int) -> None:
        command = [sys.executable, "-m", "benchmarks.idle_worker"]
        self._process = subprocess.Popen(
            [*command, event_loop, variant, str(windows)],
            env={**os.environ, "PYTHONPATH": python_path(event_loop, TESTS)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline().rstrip() != READY:
            raise RuntimeError("an idle process has ended: see above")

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, float]:
        """Wait for the end of the process; return what it measured."""
        line, _ = self._process.communicate()
        measured: dict[str, float] = json.loads(line)
        return measured

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(event_loop: str, sets: int, windows: int, rng: random.Random) -> IdleCost:
    """Run so many processes of each variant at the same time, for so long, and compare them.

    They share the machine at each moment: what it does meanwhile cancels out. Where things lie in
    memory differs from process to process, so the error is the spread of the sets.
    """
    wanted = [variant for _ in range(sets) for variant in IDLE_VARIANTS]
    with ExitStack() as stack:
        begun = [(each, _IdleProcess(event_loop, each, windows)) for each in wanted]
        for _, process in begun:
            stack.callback(process.end)
        for _, process in begun:
            process.wait_until_ready()
        for _, process in rng.sample(begun, len(begun)):
            process.begin()
        return _cost([(variant, process.result()) for variant, process in begun])


def _cost(measured: Sequence[tuple[str, dict[str, float]]]) -> IdleCost:
    def of(wanted: str, key: str) -> list[float]:
        return [each[key] for variant, each in measured if variant == wanted]

    added = _differences(of(OURS.name, "watch"), of(UNWATCHED, "watch"))
    return IdleCost(
        bare_us=fmean(of(BARE.name, "process")),
        unwatched_us=fmean(of(UNWATCHED, "process")),
        watched_us=fmean(of(OURS.name, "process")),
        added_us=fmean(added),
        added_error_us=error_of_mean(added),
    )


def _differences(within: Iterable[float], without: Iterable[float]) -> list[float]:
    return [each - other for each, other in zip(within, without, strict=True)]

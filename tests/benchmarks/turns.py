"""Processes that take turns on one processor: one for each variant, and PostgreSQL on another."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.worker import READY
from support.postgres.server import run_sql

Block = Callable[[], float]
"""Runs one block, and returns the microseconds that one checkout and return took in it."""


class Worker:
    """One process of `benchmarks.worker`."""

    def __init__(self, case: str, variant: str, dsn: str, path: Mapping[str, str]) -> None:
        self.variant = variant
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", case, variant, dsn],
            env={**os.environ, **path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self) -> None:
        """Let the process end; raise RuntimeError where it has failed."""
        self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the process of {self.variant} has failed: see above")

    def refusal(self) -> str | None:
        """Wait until the process is ready; return why it will not measure, if so."""
        said = self._hear()
        if said == READY:
            use_one_processor(0, [self._process.pid])
            return None
        return said

    def block_us(self) -> float:
        """Let the process run one block."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._hear())

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.variant} has ended: see above")
        return line.rstrip("\n")


@contextmanager
def processes(
    case: str, variants: Iterable[str], dsn: str, path: Mapping[str, str]
) -> Iterator[tuple[dict[str, Block], dict[str, str]]]:
    """Begin a process for each variant; yield the blocks of those that can, and why others not."""
    with ExitStack() as stack:
        begun = [Worker(case, each, dsn, path) for each in variants]
        for worker in begun:
            stack.callback(worker.end)
        refusals = {worker.variant: worker.refusal() for worker in begun}
        use_one_processor(1, _backends(dsn))
        yield (
            {each.variant: each.block_us for each in begun if refusals[each.variant] is None},
            {variant: reason for variant, reason in refusals.items() if reason is not None},
        )


def use_one_processor(number: int, pids: Iterable[int]) -> None:
    """Keep client and server apart: where they land by chance makes a factor of two."""
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) <= number:
        return
    for pid in pids:
        try:
            os.sched_setaffinity(pid, {number})
        except OSError:
            continue  # it has ended, or is another account's


def _backends(dsn: str) -> list[int]:
    rows = run_sql(dsn, "select pid from pg_stat_activity where backend_type = 'client backend'")
    return [pid for (pid,) in rows]

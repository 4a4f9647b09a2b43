"""A program that hangs if a hook of ours takes a lock: see the test of the same name.

Collections run at every allocation or a few, in many threads that check out and leak, while others
log, collect metrics and push. Its arguments are the endpoint and the seconds to run; it prints what
was done and what was counted, as JSON.
"""

import faulthandler
import gc
import json
import logging
import logging.handlers
import queue
import random
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

import poolscope
from poolscope import catalogue
from poolscope.clock import monotonic
from poolscope.watching.holder_looks import HolderLooks
from support.applications.dbapi import an_engine

THREADS = 8
ENOUGH = 100
"""How many checkouts make a run; on a busy machine they may take longer than the time given."""

HANGS_AFTER_S = 120.0
"""How long after its time the program may need; then all stacks are printed, and it ends."""


class Counts:
    """What the threads did, each in its own cell: no lock of ours to hang on."""

    def __init__(self) -> None:
        self.taken = [0] * THREADS
        self.leaked = [0] * THREADS


def main(endpoint: str, duration_s: float) -> None:
    faulthandler.dump_traceback_later(duration_s + HANGS_AFTER_S, exit=True)
    listener = log_through_a_queue()
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    metrics.set_meter_provider(provider)
    instrumentation = poolscope.instrument(endpoint=endpoint, push_interval_s=0.2)
    assert instrumentation is not None
    engine = an_engine(pool_size=3, max_overflow=2, pool_timeout=0.05)
    engine.connect().close()
    counts, until_s = Counts(), monotonic() + duration_s

    def is_over() -> bool:
        done, leaked = sum(counts.taken), sum(counts.leaked)
        return monotonic() >= until_s and done > ENOUGH and leaked > 0

    looks, looked = HolderLooks(instrumentation.registry, dict), [0]
    others = [
        log, log, lambda: collect(reader), lambda: collect(reader), vary_pressure,
        lambda: look(looks, looked),
    ]  # fmt: skip
    sys.setswitchinterval(1e-5)  # so that leaks of one thread are collected by another
    run(is_over, *workers(engine, counts), *others)
    collect_everything()
    instrumentation.uninstrument()
    told = {**summary(instrumentation, counts), "looked": looked[0]}
    provider.shutdown()
    listener.stop()
    print(json.dumps(told))  # noqa: T201 - the test reads it


def run(is_over: Callable[[], bool], *jobs: Callable[[], None]) -> None:
    """Repeat each job in a thread of its own until it is over."""

    def repeat(job: Callable[[], None]) -> None:
        while not is_over():
            job()

    threads = [threading.Thread(target=repeat, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def workers(engine: Any, counts: Counts) -> list[Callable[[], None]]:
    return [lambda n=n: work(engine, counts, n) for n in range(THREADS)]  # type: ignore[misc]


def work(engine: Any, counts: Counts, number: int) -> None:
    """Take a connection and return it; now and then leak it in a cycle of references."""
    with suppress(PoolTimeoutError):
        connection = engine.connect()
        counts.taken[number] += 1
        if random.random() < 0.2:
            cycle: list[Any] = [connection]
            cycle.append(cycle)
            connection.execute(text("select 1"))
            counts.leaked[number] += 1
        else:
            connection.close()


def collect(reader: InMemoryMetricReader) -> None:
    reader.get_metrics_data()


def look(looks: HolderLooks, looked: list[int]) -> None:
    """Look at all holders, beside the watcher."""
    looked[0] += len(looks.look_at_owners(monotonic()))


def vary_pressure() -> None:
    """Collect at every allocation, or only so often that somebody else's leaks are found."""
    gc.set_threshold(random.choice([1, 10, 100]), 1, 1)
    threading.Event().wait(0.02)


def log() -> None:
    logging.getLogger("application").info("a line with %s", [{}])


def log_through_a_queue() -> logging.handlers.QueueListener:
    """Log as applications do that must not block: its queue has a lock that is not reentrant."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue()
    root = logging.getLogger()
    root.addHandler(logging.handlers.QueueHandler(lines))
    root.setLevel("INFO")
    listener = logging.handlers.QueueListener(lines, logging.NullHandler())
    listener.start()
    return listener


class Cycle:
    """What a collection alone takes away."""

    def __init__(self) -> None:
        self.itself = self


def collect_everything() -> None:
    """Collect all that is unreachable, and wait for the collection that another thread is in.

    While it runs, `gc.collect()` does nothing: it has not happened until it took our own cycle.
    """
    gc.disable()
    own = weakref.ref(Cycle())
    while own() is not None:
        gc.collect()


def summary(instrumentation: Any, counts: Counts) -> dict[str, Any]:
    """Return what was done and what was counted."""
    instrumentation.watcher.scan_leaks()
    found = {sample.metric: sample.value for sample in instrumentation.pusher.samples()}
    leaks = [s for s in instrumentation.pusher.samples() if s.metric is catalogue.LEAKS]
    return {
        "taken": sum(counts.taken) + 1,
        "checkouts": found[catalogue.CHECKOUTS],
        "checkins": found[catalogue.CHECKINS],
        "leaked": sum(counts.leaked),
        "leaks": sum(sample.value for sample in leaks),
        "hook_errors": found[catalogue.HOOK_ERRORS],
        "last_hook_error": instrumentation.registry.last_hook_error,
    }


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

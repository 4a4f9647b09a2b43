"""The situation of a process that forks with a pool that was used."""

import asyncio
import json
import os
import signal
import threading
from typing import Any

from conformance.case import Case
from conformance.threads import finish
from poolscope import catalogue
from poolscope.pushing.samples import Sample

CHILD_ENDS_WITHIN_S = 60


async def forked(case: Case) -> None:
    await case.warm_up()
    await case.warm_up()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        be_the_child(case, writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        counted = json.loads(told.read() or "{}")
    os.waitpid(pid, 0)  # noqa: ASYNC222 - it has told, so it is about to end
    assert counted == {"checkouts": 1, "checkins": 1, "used": 0, "errors": 0}
    await case.check(out=0)


def be_the_child(case: Case, writing: int) -> None:
    """Use the pool as a child may, and tell what was counted; never returns."""
    try:
        signal.alarm(CHILD_ENDS_WITHIN_S)
        os.write(writing, json.dumps(in_clean_thread(case)).encode())
    finally:
        os._exit(0)


def in_clean_thread(case: Case) -> dict[str, Any]:
    """Work in a thread which has no event loop: the parent's is not ours."""
    counted: dict[str, Any] = {}

    def work() -> None:
        if case.column.is_async:
            asyncio.run(use_once(case))
        else:
            finish(use_once(case))
        counted.update(
            checkouts=case.total(catalogue.CHECKOUTS),
            checkins=case.total(catalogue.CHECKINS),
            used=case.total(catalogue.COUNT, is_used),
            errors=case.readings.instrumentation.registry.hook_errors,
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return counted


def is_used(sample: Sample) -> bool:
    return bool(sample.attributes[catalogue.CONNECTION_STATE] == "used")


async def use_once(case: Case) -> None:
    await case.pool.after_fork()
    await case.warm_up()

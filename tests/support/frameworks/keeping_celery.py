"""A Celery application with a task that keeps a connection during a call of another service.

Run it with the program `celery`. A thread of the process that runs the task looks at the holder as
soon as the file `KEEPING_ASKED` exists, and writes what it found to `KEEPING_SEEN`.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import requests
from celery import Celery, signals
from sqlalchemy import QueuePool, create_engine

import poolscope
from poolscope.instrumentation import active
from support.applications.observing import Observer

poolscope.instrument(endpoint="http://127.0.0.1:9", push_interval_s=300)

engine = create_engine("sqlite://", poolclass=QueuePool, connect_args={"check_same_thread": False})
app = Celery("shop", broker="memory://", backend="cache+memory://")


@app.task(name="shop.import_orders")  # type: ignore[untyped-decorator, unused-ignore] # it has no types
def import_orders() -> None:
    """Hold a connection, and wait for the supplier."""
    with engine.connect():
        ask_the_supplier()


def ask_the_supplier() -> None:
    requests.get(os.environ["KEEPING_ADDRESS"], timeout=600)  # keeps


@signals.worker_ready.connect  # type: ignore[untyped-decorator, unused-ignore] # it has no types
def send(**_: Any) -> None:
    import_orders.delay()


@signals.task_prerun.connect  # type: ignore[untyped-decorator, unused-ignore] # it has no types
def observe(**_: Any) -> None:
    threading.Thread(target=look, daemon=True).start()


def look() -> None:
    """Look until there are enough looks, and write them."""
    instrumentation = active()
    assert instrumentation is not None
    observer = Observer(instrumentation.registry)
    while not Path(os.environ["KEEPING_ASKED"]).exists():
        time.sleep(0.01)
    observer.look()
    units = [
        checkout.request.route if checkout.request else None
        for pool in instrumentation.registry.pools
        for checkout in pool.stats.open_checkouts()
    ]
    found = {
        "pid": os.getpid(),
        "units": units,
        "hook_errors": instrumentation.registry.hook_errors,
        "seen": list(observer.seen.items()),
    }
    written = Path(os.environ["KEEPING_SEEN"])
    written.with_suffix(".part").write_text(json.dumps(found))
    written.with_suffix(".part").rename(written)

"""Programs without HTTP whose threads or greenlets take connections; made anew from users' stories.

The argument says which. `SCENARIO_WAYS` says where they lead.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

DJANGO = "django_threads_never_close"
GREENLETS = "greenlets_work_for_long"
LASTS_S = 50
KEPT: list[Any] = []


def run_threads_of_django() -> None:
    """Ask in a thread every 3 s, as management commands do, without `close_old_connections()`."""
    import django  # type: ignore[import-untyped]  # noqa: PLC0415 - each job imports what it needs, and no more
    from django.conf import settings  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    import poolscope  # noqa: PLC0415 - as above

    poolscope.instrument()
    way = urlsplit(json.loads(os.environ["SCENARIO_WAYS"])["direct"])
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": way.hostname,
        "PORT": str(way.port),
        "NAME": way.path.lstrip("/"),
        "USER": way.username,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 4, "timeout": 5}},
    }
    settings.configure(DATABASES={"default": database})
    django.setup()
    from django.db import connection  # type: ignore[import-untyped]  # noqa: PLC0415 - needs the settings

    poolscope.name_pool(connection.pool, DJANGO)

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        KEPT.append(connection.connection)  # as a traceback or a cursor that somebody keeps

    ends_at_s = time.monotonic() + LASTS_S
    while time.monotonic() < ends_at_s:
        if len(KEPT) < 4:
            threading.Thread(target=ask).start()
        time.sleep(3)


def run_greenlets() -> None:
    """Run two long reports of short statements under gevent, as its workers do."""
    from gevent import monkey  # type: ignore[import-untyped]  # noqa: PLC0415 - patches before anything else is imported

    monkey.patch_all()
    import gevent  # noqa: PLC0415 - as above
    from sqlalchemy import create_engine, text  # noqa: PLC0415 - as above

    import poolscope  # noqa: PLC0415 - as above

    poolscope.instrument()
    url = json.loads(os.environ["SCENARIO_WAYS"])["direct"]
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_logging_name=GREENLETS,
        pool_size=5,
    )

    def report() -> None:
        ends_at_s = time.monotonic() + LASTS_S
        with engine.connect() as connection:
            while time.monotonic() < ends_at_s:
                connection.execute(text("SELECT pg_sleep(0.15)"))
                gevent.sleep(0.15)

    gevent.joinall([gevent.spawn(report) for _ in range(2)], raise_error=True)


JOBS: dict[str, Callable[[], None]] = {DJANGO: run_threads_of_django, GREENLETS: run_greenlets}

if __name__ == "__main__":
    JOBS[sys.argv[1]]()

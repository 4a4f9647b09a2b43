"""A WSGI app that never removes the session of its thread; made anew from a user's story.

The threads of the server live on between requests, and each keeps its session and its connection.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

import poolscope
from scenarios.app.pools import DIRECT, WAYS

poolscope.instrument()

NAME = "session_of_a_thread_is_kept"
PATH = f"/{NAME}"

engine = create_engine(
    WAYS[DIRECT].replace("postgresql://", "postgresql+psycopg2://", 1),
    pool_logging_name=NAME,
    pool_size=3,
    max_overflow=1,
    pool_timeout=1,
)
session = scoped_session(sessionmaker(engine))


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == PATH:
        session.execute(text("SELECT pg_sleep(0.1)"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]

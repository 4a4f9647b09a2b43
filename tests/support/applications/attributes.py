"""Look at how CPython keeps the attributes of an object.

Run with the URL of a PostgreSQL, it watches an engine and says what became of its connection: in a
process of its own, since the room for attributes outside of a `__dict__` depends on all the objects
of a class that there ever were.
"""

import gc
import sys
from typing import Any

from sqlalchemy import create_engine, text

import poolscope

NOWHERE = "http://127.0.0.1:1"


def made_dict(target: object, attribute: str) -> bool:
    """Say whether somebody has made an object keep an attribute of it in a `__dict__`.

    Until its `__dict__` is asked for, an ordinary object refers to its values themselves. (Asking
    `__dict__` would make it.)
    """
    return any(isinstance(found, dict) and attribute in found for found in gc.get_referents(target))


def main() -> None:
    handle = poolscope.instrument(endpoint=NOWHERE, metrics="exporter", push_interval_s=300)
    assert handle is not None
    engine = create_engine(sys.argv[1], pool_size=1, max_overflow=0)
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    [watched] = handle.registry.pools
    fairy: Any = engine.raw_connection()
    made = [
        type(target).__name__
        for target, attribute in (
            (fairy._connection_record, "fairy_ref"), (fairy.driver_connection, "pgconn"),
        )
        if made_dict(target, attribute)
    ]  # fmt: skip
    sys.stdout.write(f"watched {sum(watched.stats.use.counts)}, made {made or 'no dict'}\n")
    fairy.close()
    handle.uninstrument()


if __name__ == "__main__":
    main()

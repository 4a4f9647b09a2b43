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
    """Return whether anybody has asked an object for its `__dict__`, which makes the dictionary.

    From Python 3.13 on, the object does not refer to that dictionary, and the dictionary does not
    refer to the values, as long as these stay in the object. So this searches all dictionaries.
    """
    value = getattr(target, attribute)
    dicts = [each for each in gc.get_objects() if type(each) is dict]
    found = [each for each in dicts if each.get(attribute) is value]
    return any(each is target.__dict__ for each in found)  # asked after the search, as it makes one


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

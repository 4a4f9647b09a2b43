"""How much memory ours takes per connection and per pool, by tracemalloc."""

import gc
import tracemalloc
from typing import Any

from sqlalchemy import QueuePool, create_engine

import poolscope
from benchmarks.cases import NoOpConnection
from benchmarks.variants import NOWHERE

MANY_CONNECTIONS, FEW_CONNECTIONS = 400, 200
MANY_POOLS, FEW_POOLS = 40, 20


def per_connection() -> float:
    """Return the bytes that each connection costs while it is out."""
    many, few = MANY_CONNECTIONS, FEW_CONNECTIONS
    return (_ours(1, many) - _ours(1, few)) / (many - few)


def per_pool() -> float:
    """Return the bytes that each pool costs, with one connection out."""
    many, few = MANY_POOLS, FEW_POOLS
    return (_ours(many, 1) - _ours(few, 1)) / (many - few)


def _ours(pools: int, connections: int) -> int:
    """Return what so many pools with so many connections each take more with us than bare."""
    bare = _allocated(pools, connections)
    handle = poolscope.instrument(
        endpoint=NOWHERE, metrics="exporter", push_interval_s=300, max_pools=1000
    )
    assert handle is not None
    try:
        return _allocated(pools, connections) - bare
    finally:
        handle.uninstrument()


def _allocated(pools: int, connections: int) -> int:
    _give_back(_taken(1, 1))  # what is made once, by whoever comes first, belongs to nobody here
    gc.collect()
    tracemalloc.start()
    taken = _taken(pools, connections)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    _give_back(taken)
    return size


def _taken(pools: int, connections: int) -> list[tuple[Any, list[Any]]]:
    taken = []
    for _ in range(pools):
        engine = create_engine(
            "sqlite://",
            poolclass=QueuePool,
            creator=NoOpConnection,
            _initialize=False,
            pool_size=connections,
        )
        taken.append((engine, [engine.pool.connect() for _ in range(connections)]))
    return taken


def _give_back(taken: list[tuple[Any, list[Any]]]) -> None:
    for engine, out in taken:
        for connection in out:
            connection.close()
        engine.dispose()

"""The table: every situation and every pool, and what each cell says."""

from conformance import broken, collection, fork, ordinary, requests, sessions, tasks, threads
from conformance.column import Column, Options
from conformance.pools import (
    async_queue_pool,
    asyncpg_pool,
    bare_pool,
    null_pool,
    overriding_pool,
    psycopg_null_pool_async,
    psycopg_null_pool_sync,
    psycopg_pool_async,
    psycopg_pool_sync,
    queue_pool,
    singleton_thread_pool,
    static_pool,
)
from conformance.situation import Situation

COLUMNS: tuple[Column, ...] = (
    queue_pool.COLUMN,
    async_queue_pool.COLUMN,
    null_pool.COLUMN,
    static_pool.COLUMN,
    singleton_thread_pool.COLUMN,
    bare_pool.COLUMN,
    overriding_pool.COLUMN,
    asyncpg_pool.COLUMN,
    psycopg_pool_sync.COLUMN,
    psycopg_pool_async.COLUMN,
    psycopg_null_pool_sync.COLUMN,
    psycopg_null_pool_async.COLUMN,
)

NO_OVERFLOW = Options(keep=2, overflow=0)

SITUATIONS: tuple[Situation, ...] = (
    Situation("returned", "Taken, used, returned", ordinary.returned, "returned"),
    Situation("exception", "Exception in the block", ordinary.exception, "returned"),
    Situation("timeout", "Pool time-out", ordinary.timeout, "timeout", NO_OVERFLOW),
    Situation(
        "cancelled_waiting",
        "Cancelled while waiting",
        tasks.cancelled_waiting,
        "cancelled",
        NO_OVERFLOW,
    ),
    Situation(
        "cancelled_connecting",
        "Cancelled while connecting",
        tasks.cancelled_connecting,
        "cancelled",
    ),
    Situation(
        "cancelled_in_use",
        "Cancelled in the middle of a query",
        tasks.cancelled_in_use,
        "invalidated: cancelled, closed: invalidated",
    ),
    Situation(
        "asyncio_timeout_waiting",
        "`asyncio.timeout` while waiting",
        tasks.asyncio_timeout_waiting,
        "cancelled",
        NO_OVERFLOW,
    ),
    Situation(
        "asyncio_timeout",
        "`asyncio.timeout` in the middle of a query",
        tasks.asyncio_timeout,
        "invalidated: cancelled, closed: invalidated",
    ),
    Situation(
        "refused_connect",
        "Refused connect",
        broken.refused_connect,
        "error, connect error: refused",
    ),
    Situation(
        "server_restart",
        "Server restart, retries fail",
        broken.server_restart,
        "error, connect error: refused, invalidated: socket, closed: invalidated",
    ),
    Situation(
        "killed_in_use",
        "Session killed while in use",
        broken.killed_in_use,
        "invalidated: socket, closed: invalidated",
    ),
    Situation(
        "killed_idle",
        "Session killed while idle, no pre-ping",
        broken.killed_idle,
        "invalidated: socket, closed: invalidated",
    ),
    Situation(
        "killed_idle_pre_ping",
        "Session killed while idle, pre-ping",
        broken.killed_idle_pre_ping,
        "invalidated: ping, closed: invalidated",
        Options(pre_ping=True),
    ),
    Situation(
        "recycle",
        "Recycled for its age",
        ordinary.recycle,
        "closed: recycled",
        Options(recycle_s=0.05),
    ),
    Situation(
        "soft_invalidate",
        "Soft invalidation",
        ordinary.soft_invalidate,
        "closed: invalidated",
        collects=True,
    ),
    Situation(
        "hard_invalidate",
        "Hard invalidation",
        ordinary.hard_invalidate,
        "invalidated: requested, closed: invalidated",
    ),
    Situation("detach", "Detached", ordinary.detach, "closed: detached"),
    Situation(
        "dispose",
        "Disposed of with a connection out",
        ordinary.dispose,
        "closed: other",
        collects=True,
    ),
    Situation("overflow", "Overflow returned", ordinary.overflow, "closed: overflow"),
    Situation(
        "collected",
        "Collected without being closed",
        collection.collected,
        "leak: garbage_collected",
        collects=True,
    ),
    Situation(
        "task_gone",
        "Its task is gone, no request",
        tasks.task_gone,
        "leak: task_finished, recovered: task_finished",
    ),
    Situation(
        "thread_gone",
        "Its thread is gone, no request",
        threads.thread_gone,
        "leak: thread_finished, recovered: thread_finished",
    ),
    Situation(
        "request_gone",
        "Its request is gone",
        requests.request_gone,
        "leak: request_finished, recovered: request_finished",
        on_a_loop=True,
    ),
    Situation("wait_for", "`wait_for` around an acquire", tasks.wait_for, "returned"),
    Situation("gather", "`gather` around acquires", tasks.gather, "returned"),
    Situation(
        "pruned_thread",
        "The worker thread that took it is pruned",
        requests.pruned_thread,
        "returned",
        on_a_loop=True,
    ),
    Situation(
        "shielded_close",
        "Shielded close after a cancellation",
        tasks.shielded_close,
        "returned",
    ),
    Situation(
        "fire_and_forget",
        "Task that outlives its request",
        requests.fire_and_forget,
        "returned",
    ),
    Situation(
        "fire_and_forget_thread",
        "Thread that outlives its request",
        requests.fire_and_forget_thread,
        "returned",
        on_a_loop=True,
    ),
    Situation("forked", "Fork: the child counts its own", fork.forked, "returned", forks=True),
    Situation("nested", "Nested checkouts", ordinary.nested, "returned"),
    Situation(
        "nested_in_thread",
        "Nested checkouts of a thread-local pool",
        ordinary.nested_in_thread,
        "returned",
    ),
    Situation(
        "shared",
        "Two users of the one connection",
        ordinary.shared,
        "returned",
    ),
    Situation(
        "session_at_once",
        "Session: two statements at once",
        sessions.session_at_once,
        "shared: at_once",
        of_sessions=True,
    ),
    Situation(
        "session_commits",
        "Session: commits that collide",
        sessions.session_commits,
        "shared: error",
        of_sessions=True,
    ),
    Situation(
        "session_of_many",
        "Session of a module, used by many requests",
        sessions.session_of_many,
        "shared: requests",
        on_a_loop=True,
        of_sessions=True,
    ),
    Situation(
        "session_by_thread",
        "`scoped_session` by thread, on an event loop",
        sessions.session_by_thread,
        "shared: requests",
        on_a_loop=True,
        of_sessions=True,
    ),
    Situation(
        "session_handed_over",
        "Session handed to one successor",
        sessions.session_handed_over,
        "returned",
        on_a_loop=True,
        of_sessions=True,
    ),
    Situation(
        "session_gathered",
        "Session of a request, with `gather`",
        sessions.session_gathered,
        "shared: at_once",
        of_sessions=True,
    ),
    Situation("not_pooled", "No pooling", ordinary.not_pooled, "returned"),
    Situation("same_name", "Two pools with one name", ordinary.same_name, "returned"),
    Situation("made_before", "Instrumented while in use", ordinary.made_before, "returned"),
    Situation(
        "blocking",
        "Synchronous pool on a running loop",
        threads.blocking,
        "blocking checkout",
        on_a_loop=True,
    ),
)


def absent(situation: Situation, column: Column) -> str | None:
    """Say why a pool cannot be in a situation; None where it can."""
    if situation.of_sessions and not column.sessions:
        return "sessions are played on two pools"
    return column.lacks.get(situation.name)


def expected(situation: Situation, column: Column) -> str:
    """Return what poolscope must count: the text of the cell."""
    return column.differs.get(situation.name, situation.counted)


def cell_name(situation: Situation, column: Column) -> str:
    return f"{column.name}-{situation.name}"

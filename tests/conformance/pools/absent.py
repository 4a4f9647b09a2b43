"""Why a situation cannot be, for whole families of pools."""

THREADS_ONLY = "synchronous pools only"
TASKS_ONLY = "asynchronous pools only"

FOR_TASKS = dict.fromkeys(
    (
        "cancelled_waiting", "cancelled_connecting", "cancelled_in_use", "asyncio_timeout",
        "asyncio_timeout_waiting", "shielded_close", "task_gone", "wait_for", "gather",
        "fire_and_forget",
    ),
    TASKS_ONLY,
)  # fmt: skip
FOR_TASKS_OF_SESSIONS = dict.fromkeys(("session_commits", "session_gathered"), TASKS_ONLY)
FOR_THREADS = dict.fromkeys(
    ("thread_gone", "pruned_thread", "fire_and_forget_thread", "blocking"), THREADS_ONLY
)
FOR_QUEUES = dict.fromkeys(
    ("timeout", "cancelled_waiting", "asyncio_timeout_waiting", "overflow"), "it has no limit"
)
FOR_SPECIAL_POOLS = {
    "shared": "it shares no connection",
    "nested_in_thread": "each checkout takes a connection",
    "not_pooled": "it keeps connections",
}
NOTHING_IDLE = dict.fromkeys(
    ("killed_idle", "killed_idle_pre_ping", "recycle", "soft_invalidate"), "nothing is ever idle"
)
NO_SECOND_LIFE = {
    "dispose": "a closed pool has no successor",
    "detach": "it lets no connection go",
    "overflow": "it has no overflow",
}

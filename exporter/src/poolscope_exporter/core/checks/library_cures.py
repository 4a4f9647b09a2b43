"""The change to make, in the words of a pool's library and driver.

A reader cannot follow a cure that names a setting of another library. Django makes its psycopg_pool
itself, and poolscope does not know whether it did. So these cures have Django's setting too.
"""

from poolscope_exporter.core.checks.model import PoolSettings

CHECK_OF_PSYCOPG = (
    "make the pool with check=ConnectionPool.check_connection (in Django: "
    '"CONN_HEALTH_CHECKS": True beside "OPTIONS")'
)

MADE_BY_DJANGO = "django/db/"
"""The beginning of the line that makes Django's pool: Django keeps it until it is closed."""

KEEP_DJANGOS_POOL = (
    "Django makes a pool after each close_pool(), and Celery calls that around each task; set "
    "CELERY_DB_REUSE_MAX in Django's settings to keep the pool for that number of tasks"
)

_PRE_PING = {
    "sqlalchemy": "create the engine with pool_pre_ping=True: it finds stale sockets",
    "psycopg_pool": f"{CHECK_OF_PSYCOPG}: it finds stale sockets",
}

_OF_ENGINE = 'connect_args={"%s": …} of the engine'

_CONNECT_TIMEOUT = {
    ("sqlalchemy", "asyncpg"): ("timeout of asyncpg", _OF_ENGINE % "timeout"),
    ("sqlalchemy", "psycopg"): ("connect_timeout", _OF_ENGINE % "connect_timeout"),
    ("sqlalchemy", "psycopg2"): ("connect_timeout", _OF_ENGINE % "connect_timeout"),
    ("asyncpg", "asyncpg"): ("timeout of create_pool()", "timeout of create_pool()"),
    ("psycopg_pool", "psycopg"): (
        "connect_timeout",
        'kwargs={"connect_timeout": …} of the pool (in Django: "connect_timeout" in "OPTIONS")',
    ),
}
"""The name of the time-out for opening a connection, and its place, by library and driver."""

_DRIVERS = {"asyncpg": "asyncpg", "psycopg_pool": "psycopg"}
"""The driver of a library that has only one."""

_CLASSES = {
    "NullConnectionPool": "use ConnectionPool; NullConnectionPool only for ephemeral work",
    "AsyncNullConnectionPool": (
        "use AsyncConnectionPool; AsyncNullConnectionPool only for ephemeral work"
    ),
}

_BLOCKING = {
    "psycopg_pool": "use AsyncConnectionPool, or run the query in a thread",
    "asyncpg": "run the query on the event loop that the pool belongs to",
}

_SHARED_CONNECTION = "give each request and each task a separate connection"
_SHARED = dict.fromkeys(("asyncpg", "psycopg_pool"), _SHARED_CONNECTION)


def pre_ping_cure(pool: PoolSettings, advice: str) -> str:
    """Return the change that tests each connection before use."""
    return _PRE_PING.get(pool.library or "", advice)


def connect_timeout_setting(pool: PoolSettings) -> tuple[str, str]:
    """Return the name and the place of the time-out for opening a connection."""
    library = pool.library or ""
    driver = _DRIVERS.get(library) or pool.driver or ""
    return _CONNECT_TIMEOUT.get((library, driver), ("connect_timeout", "connect_timeout"))


def pool_class_cure(pool: PoolSettings, advice: str) -> str:
    """Return the class to use instead."""
    return _CLASSES.get(pool.pool_class or "", advice)


def blocking_cure(pool: PoolSettings, advice: str) -> str:
    """Return the change after which no checkout blocks an event loop."""
    return _BLOCKING.get(pool.library or "", advice)


def sharing_cure(pool: PoolSettings, advice: str) -> str:
    """Return the change after which one owner alone uses a session or connection."""
    return _SHARED.get(pool.library or "", advice)

"""The change that gives a pool's connections a TCP keepalive, by driver, library and path.

libpq (psycopg, psycopg2) has settings for it. asyncpg has none, but can ask the server to send the
probes: `tcp_keepalives_idle` of its session. Only on a direct path do these probes pass the NAT
before the application. A proxy would send them to nobody, and PgBouncer rejects the parameter.
"""

from poolscope_exporter.core.checks.model import PoolSettings

_DRIVERS = {"asyncpg": "asyncpg", "psycopg_pool": "psycopg"}
"""The driver of a library that has only one."""

_OF_ENGINE = "create the engine with connect_args={%s}"

_OF_LIBPQ = {
    ("sqlalchemy", "psycopg"): _OF_ENGINE,
    ("sqlalchemy", "psycopg2"): _OF_ENGINE,
    ("psycopg_pool", "psycopg"): "create the pool with kwargs={%s}",
}
_OF_ASYNCPG = {
    "sqlalchemy": _OF_ENGINE % '"server_settings": {%s}',
    "asyncpg": "create the pool with server_settings={%s}",
}
"""The place of a driver's settings, by library."""

_CLASS_OF_ASYNCPG = {
    "sqlalchemy": 'connect_args={"connection_class": …} of the engine',
    "asyncpg": "connection_class of create_pool()",
}
"""The argument for a class of connections, which gets each new socket."""


def keepalive_cure(pool: PoolSettings, idle_s: int, *, is_direct: bool) -> str:
    """Return the change after which the first probe is sent after `idle_s` without traffic.

    With `is_direct`, the connection ends at the server, not at a proxy.
    """
    library = pool.library or ""
    driver = _DRIVERS.get(library) or pool.driver or ""
    if (library, driver) in _OF_LIBPQ:
        is_off = '"keepalives": 1, ' if pool.keepalive_s == 0 else ""
        return _OF_LIBPQ[library, driver] % f'{is_off}"keepalives_idle": {idle_s}'
    if driver != "asyncpg" or library not in _OF_ASYNCPG:
        return f"set the keepalive of the driver's sockets to {idle_s} s"
    if is_direct:
        return _OF_ASYNCPG[library] % f'"tcp_keepalives_idle": "{idle_s}"'
    return (
        f"set SO_KEEPALIVE and TCP_KEEPIDLE={idle_s} on asyncpg's socket, in a subclass of its "
        f"Connection for {_CLASS_OF_ASYNCPG[library]}, as it has no setting"
    )

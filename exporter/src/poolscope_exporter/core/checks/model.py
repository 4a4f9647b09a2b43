"""Say what a check of a pool's configuration is, what it looks at, and what it finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from poolscope_exporter.core.capacity.idle_timeouts import IdleTimeout, tightest
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Threshold, ThresholdId
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers

_RECYCLE_SETTINGS = {"psycopg_pool": "max_lifetime"}
KEEPS_NO_CONNECTION = frozenset({"NullPool", "NullConnectionPool", "AsyncNullConnectionPool"})
"""The pools that open a connection for each checkout, and close it afterwards."""


class CheckId(StrEnum):
    """The checks, by the documented row's id."""

    C1 = "C1"
    C2 = "C2"
    C3 = "C3"
    C4 = "C4"
    C5 = "C5"
    C6 = "C6"
    C7 = "C7"
    C8 = "C8"
    C9 = "C9"
    C10 = "C10"


class Result(StrEnum):
    """What a check found; unknown is neither of the others."""

    OK = "ok"
    WARN = "warn"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ConfigCheck:
    """One check of one pool.

    `value` is what is configured (in the unit of `safe_range`), None where it is off or not told.
    `cure` says what to change, or what is missing to judge; None where all is well.
    """

    check_id: CheckId
    result: Result
    setting: str
    value: float | str | None
    safe_range: str
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What the checks look at of a pool's numbers: alike for most processes of a service.

    `ping_s` is what a pre-ping took on average.
    """

    library: str | None = None
    pool_class: str | None = None
    max: int | None = None
    size: int | None = None
    max_overflow: int | None = None
    timeout_s: float | None = None
    recycle_s: float | None = None
    pre_ping: bool | None = None
    ping_s: float | None = None
    keepalive_s: float | None = None
    blocking_checkouts_total: int | None = None

    @property
    def keeps_connections(self) -> bool:
        """Tell whether a connection may lie unused in the pool."""
        return self.pool_class not in KEEPS_NO_CONNECTION


def settings_of(numbers: PoolNumbers) -> PoolSettings:
    """Return what the checks look at."""
    return PoolSettings(
        library=numbers.library,
        pool_class=numbers.pool_class,
        max=numbers.max,
        size=numbers.size,
        max_overflow=numbers.max_overflow,
        timeout_s=numbers.timeout_s,
        recycle_s=numbers.recycle_s,
        pre_ping=numbers.pre_ping,
        # Tenths of a millisecond: what differs by less need not be judged for each process anew.
        ping_s=None if numbers.ping_s is None else round(numbers.ping_s, 4),
        keepalive_s=numbers.keepalive_s,
        blocking_checkouts_total=numbers.blocking_checkouts_total,
    )


def check_recycle(
    pool: PoolSettings,
    timeouts: Sequence[IdleTimeout],
    threshold: Threshold = DEFAULTS[ThresholdId.C4],
) -> ConfigCheck | None:
    """Check C4, that a pool replaces connections before a proxy closes them unseen.

    `timeouts` are those of all proxies that the pool's connections pass. None where there is none,
    or where the pool keeps no connection that could become old.
    """
    if not timeouts or not pool.keeps_connections:
        return None
    setting = _RECYCLE_SETTINGS.get(pool.library or "", "pool_recycle")
    limiting = tightest(timeouts)
    if limiting is None or limiting.seconds is None:
        return _unlimited(pool, timeouts, setting)
    most_s = threshold.limit * limiting.seconds
    found = _compare(pool, most_s, setting, str(limiting))
    if found.result is Result.OK and _is_unknown(timeouts):
        # A proxy that does not tell may close them sooner.
        return _unknown(setting, pool.recycle_s, found.safe_range, _ASK)
    return found


_ASK = "the idle time-out of a proxy in between is not known: see why the PgBouncer does not answer"


def _compare(pool: PoolSettings, most_s: float, setting: str, why: str) -> ConfigCheck:
    safe_range = f"at most {most_s:g} s"
    value = pool.recycle_s
    if value is None and not _tells_recycle(pool):
        cure = f"the age at which the pool replaces connections is not told; {why}"
        return _unknown(setting, None, safe_range, cure)
    if value is not None and value <= most_s:
        return ConfigCheck(CheckId.C4, Result.OK, setting, value, safe_range)
    cure = f"set {setting} to at most {most_s:g} s: {why}"
    return ConfigCheck(CheckId.C4, Result.WARN, setting, value, safe_range, cure)


def _unlimited(pool: PoolSettings, timeouts: Sequence[IdleTimeout], setting: str) -> ConfigCheck:
    if _is_unknown(timeouts):
        return _unknown(setting, pool.recycle_s, "not known", _ASK)
    safe_range = "any: the proxy closes no unused connection"
    return ConfigCheck(CheckId.C4, Result.OK, setting, pool.recycle_s, safe_range)


def _unknown(setting: str, value: float | None, safe_range: str, cure: str) -> ConfigCheck:
    return ConfigCheck(CheckId.C4, Result.UNKNOWN, setting, value, safe_range, cure)


def _is_unknown(timeouts: Sequence[IdleTimeout]) -> bool:
    return any(each.seconds is None for each in timeouts)


def _tells_recycle(pool: PoolSettings) -> bool:
    """Tell whether a recycle time that is absent is one that is off, and not one untold.

    asyncpg's pool has another means, the idle time of its own, which is not on the wire.
    """
    return pool.library is not None and pool.library != "asyncpg"

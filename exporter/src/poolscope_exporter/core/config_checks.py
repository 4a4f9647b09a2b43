"""Check how pools are configured, by the rows C1 to C13 of the documented thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from poolscope_exporter.core.pool_numbers import PoolNumbers
from poolscope_exporter.core.proxies import IdleTimeout, tightest

RECYCLE_SHARE = 0.75
"""C4: a connection is replaced after this share, at most, of the proxy's idle time-out."""

_RECYCLE_SETTINGS = {"psycopg_pool": "max_lifetime"}
_KEEPS_NO_CONNECTION = frozenset({"NullPool", "NullConnectionPool", "AsyncNullConnectionPool"})


class CheckId(StrEnum):
    """The checks, by the documented row's id."""

    C4 = "C4"


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


def check_recycle(numbers: PoolNumbers, timeouts: Sequence[IdleTimeout]) -> ConfigCheck | None:
    """Check C4, that a pool replaces connections before a proxy closes them unseen.

    `timeouts` are those of all proxies that the pool's connections pass. None where there is none,
    or where the pool keeps no connection that could become old.
    """
    if not timeouts or numbers.pool_class in _KEEPS_NO_CONNECTION:
        return None
    setting = _RECYCLE_SETTINGS.get(numbers.library or "", "pool_recycle")
    limiting = tightest(timeouts)
    if limiting is None or limiting.seconds is None:
        return _unlimited(numbers, timeouts, setting)
    most_s = RECYCLE_SHARE * limiting.seconds
    found = _compare(numbers, most_s, setting, str(limiting))
    if found.result is Result.OK and _is_unknown(timeouts):
        # A proxy that does not tell may close them sooner.
        return _unknown(setting, numbers.recycle_s, found.safe_range, _ASK)
    return found


_ASK = "the idle time-out of a proxy in between is not known: see why the PgBouncer does not answer"


def _compare(numbers: PoolNumbers, most_s: float, setting: str, why: str) -> ConfigCheck:
    safe_range = f"at most {most_s:g} s"
    value = numbers.recycle_s
    if value is None and not _tells_recycle(numbers):
        cure = f"the age at which the pool replaces connections is not told; {why}"
        return _unknown(setting, None, safe_range, cure)
    if value is not None and value <= most_s:
        return ConfigCheck(CheckId.C4, Result.OK, setting, value, safe_range)
    cure = f"set {setting} to at most {most_s:g} s: {why}"
    return ConfigCheck(CheckId.C4, Result.WARN, setting, value, safe_range, cure)


def _unlimited(numbers: PoolNumbers, timeouts: Sequence[IdleTimeout], setting: str) -> ConfigCheck:
    if _is_unknown(timeouts):
        return _unknown(setting, numbers.recycle_s, "not known", _ASK)
    safe_range = "any: the proxy closes no unused connection"
    return ConfigCheck(CheckId.C4, Result.OK, setting, numbers.recycle_s, safe_range)


def _unknown(setting: str, value: float | None, safe_range: str, cure: str) -> ConfigCheck:
    return ConfigCheck(CheckId.C4, Result.UNKNOWN, setting, value, safe_range, cure)


def _is_unknown(timeouts: Sequence[IdleTimeout]) -> bool:
    return any(each.seconds is None for each in timeouts)


def _tells_recycle(numbers: PoolNumbers) -> bool:
    """Tell whether a recycle time that is absent is one that is off, and not one untold.

    asyncpg's pool has another means, the idle time of its own, which is not on the wire.
    """
    return numbers.library is not None and numbers.library != "asyncpg"

"""Check how a pool is configured, by the rows C1 to C10 of the documented thresholds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor

from poolscope_exporter.core.capacity.demand import NOWHERE, Demand
from poolscope_exporter.core.capacity.idle_timeouts import IdleTimeout, tightest
from poolscope_exporter.core.checks.model import (
    KEEPS_NO_CONNECTION,
    CheckId,
    ConfigCheck,
    PoolSettings,
    Result,
    settings_of,
)
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Threshold, ThresholdId, Thresholds
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers

_RECYCLE_SETTINGS = {"psycopg_pool": "max_lifetime"}

_ASK = "the idle time-out of a proxy in between is not known: see why the PgBouncer does not answer"

KINDS = 1024
"""Differently configured pools whose checks are kept: processes of a service are alike."""

_ONE_MAXIMUM = frozenset({"asyncpg", "psycopg_pool"})
"""Libraries whose pools have a max_size and no overflow: it is what their pool_size is."""

_QUEUES = frozenset({
    "QueuePool", "AsyncAdaptedQueuePool",  # SQLAlchemy
    "ConnectionPool", "AsyncConnectionPool",  # psycopg_pool
    "Pool",  # asyncpg
})  # fmt: skip
_NO_QUEUES = KEEPS_NO_CONNECTION | {"StaticPool", "SingletonThreadPool", "AssertionPool"}
_KEEPALIVE_OFF = 0.0


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """All that the checks of one pool look at: its settings, what lies between, who else comes."""

    pool: PoolSettings
    timeouts: tuple[IdleTimeout, ...] = ()
    demand: Demand = NOWHERE


class PoolChecks:
    """The checks by certain thresholds; what was found for one pool holds for all its like."""

    def __init__(self, thresholds: Thresholds = DEFAULTS) -> None:
        self._rows = {row.id: row for row in thresholds}
        self._kept = lru_cache(KINDS)(self._check)

    def check_pool(
        self, numbers: PoolNumbers, timeouts: tuple[IdleTimeout, ...], demand: Demand
    ) -> tuple[ConfigCheck, ...]:
        """Return the checks that mean something for the pool, in the order of their ids."""
        return self._kept(PoolFacts(settings_of(numbers), timeouts, demand))

    def _check(self, facts: PoolFacts) -> tuple[ConfigCheck, ...]:
        found = (
            check(facts, self._rows[ThresholdId(check_id)]) for check_id, check in _CHECKS.items()
        )
        return tuple(each for each in found if each)


def _check_size(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool = facts.pool
    setting, size = _size(pool)
    safe_range = f"{row.lowest:g} to {row.highest:g}"
    verdict = _Verdict(CheckId.C1, setting, size, safe_range)
    if not _has_queue(pool):
        return None
    if size is not None:
        is_safe = row.lowest <= size <= row.highest
        return verdict.judged(is_safe, f"set {setting} within {safe_range}: {_lower(row.advice)}")
    if pool.library is None:
        return verdict.unknown(f"{setting} is not told")
    return verdict.warn(f"set {setting} within {safe_range}: the pool has no limit")


def _check_overflow(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool = facts.pool
    if not _has_queue(pool) or pool.library in _ONE_MAXIMUM:
        return None
    if pool.size is None:
        safe_range = f"{row.lowest:.0%} to {row.highest:.0%} of pool_size"
        verdict = _Verdict(CheckId.C2, "max_overflow", pool.max_overflow, safe_range)
        return verdict.unknown("pool_size is not told, or has no limit")
    # SQLAlchemy takes whole connections: half of 5 is 2 or 3.
    least, most = floor(row.lowest * pool.size), ceil(row.highest * pool.size)
    safe_range = f"{least} to {most}, {row.lowest:.0%} to {row.highest:.0%} of pool_size"
    verdict = _Verdict(CheckId.C2, "max_overflow", pool.max_overflow, safe_range)
    cure = f"set max_overflow within {least} to {most}: {_lower(row.advice)}"
    if pool.max_overflow is not None:
        return verdict.judged(least <= pool.max_overflow <= most, cure)
    if pool.library is None:
        return verdict.unknown("max_overflow is not told")
    return verdict.warn(f"set max_overflow within {least} to {most}: it has no limit")


def _check_timeout(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool = facts.pool
    if not _has_queue(pool):
        return None
    setting = "timeout" if pool.library in _ONE_MAXIMUM else "pool_timeout"
    safe_range = f"{row.lowest:g} to {row.highest:g} s"
    verdict = _Verdict(CheckId.C3, setting, pool.timeout_s, safe_range)
    if pool.timeout_s is not None:
        is_safe = row.lowest <= pool.timeout_s <= row.highest
        return verdict.judged(is_safe, f"set {setting} within {safe_range}: {_lower(row.advice)}")
    if pool.library == "asyncpg":
        return verdict.unknown(
            f"asyncpg's pool has no time-out of its own: pass {safe_range} to each acquire()"
        )
    return verdict.unknown(f"{setting} is not told")


def _check_recycle(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    return check_recycle(facts.pool, facts.timeouts, row)


def _check_pre_ping(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool = facts.pool
    if not pool.keeps_connections or pool.library == "asyncpg":
        return None
    setting = "check" if pool.library == "psycopg_pool" else "pool_pre_ping"
    safe_range = f"on; a ping typically takes less than {1000 * row.limit:g} ms"
    if pool.pre_ping is None:
        verdict = _Verdict(CheckId.C5, setting, None, safe_range)
        return verdict.unknown(f"{setting} is not told")
    took = "" if pool.ping_s is None else f", {1000 * pool.ping_s:.1f} ms per ping as measured"
    verdict = _Verdict(CheckId.C5, setting, f"on{took}" if pool.pre_ping else "off", safe_range)
    return verdict.judged(pool.pre_ping, _PRE_PING_CURES.get(setting, row.advice))


_PRE_PING_CURES = {
    "check": "make the pool with check=ConnectionPool.check_connection: it finds stale sockets"
}


def _check_keepalive(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool = facts.pool
    if not pool.keeps_connections:
        return None
    safe_range = f"{row.lowest:g} to {row.highest:g} s"
    told = pool.keepalive_s
    value = "off" if told == _KEEPALIVE_OFF else told
    verdict = _Verdict(CheckId.C6, "TCP keepalive", value, safe_range)
    if told is None:
        return verdict.unknown("no open TCP connection of the pool tells its keepalive")
    is_safe = told != _KEEPALIVE_OFF and row.lowest <= told <= row.highest
    return verdict.judged(is_safe, row.advice)


def _check_sum(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    """Check C7; without a pool's limit the sum is at least what the others may open."""
    demand = facts.demand
    limit, limiting = demand.limit.most, demand.limit.setting
    setting = "pool_size + max_overflow of all processes"
    if not demand.limit.name or limit is None:
        verdict = _Verdict(CheckId.C7, setting, demand.potential or None, "not known")
        return verdict.unknown(_no_limit(demand))
    most = int((1 - row.limit) * limit)
    verdict = _Verdict(
        CheckId.C7, setting, demand.potential,
        f"at most {most}: {limiting} {limit} less {row.limit:.0%} in reserve",
    )  # fmt: skip
    who = f"{demand.pools} pool{'s' * (demand.pools != 1)} of {demand.limit.name}"
    if demand.potential > most:
        return verdict.warn(f"{who} may open {demand.potential} connections: {_lower(row.advice)}")
    if demand.unlimited:
        return verdict.unknown(f"{demand.unlimited} of {who} tell no limit of their own")
    return verdict.ok()


def _check_size_is_not_all(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    if not _has_queue(facts.pool):
        return None
    setting, size = _size(facts.pool)
    limit, limiting = facts.demand.limit.most, facts.demand.limit.setting
    if limit is None:
        verdict = _Verdict(CheckId.C8, setting, size, "not known")
        return verdict.unknown(_no_limit(facts.demand))
    verdict = _Verdict(CheckId.C8, setting, size, f"less than {limiting} {limit}")
    if size is None:
        return verdict.unknown(f"{setting} is not told, or has no limit")
    return verdict.judged(size < row.limit * limit, row.advice)


def _check_class(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool, limit = facts.pool, facts.demand.limit
    safe_range = "a pool with a queue; NullPool for ephemeral work or before a PgBouncer"
    verdict = _Verdict(CheckId.C9, "pool class", pool.pool_class, safe_range)
    pools_elsewhere = limit.is_bouncer and not pool.keeps_connections
    if pool.pool_class in _QUEUES or pools_elsewhere:
        return verdict.ok()
    if pool.pool_class in _NO_QUEUES:
        return verdict.warn(row.advice)
    return verdict.unknown("the pool's class is not told, or is one of your own")


def _check_blocking(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    count = facts.pool.blocking_checkouts_total
    verdict = _Verdict(
        CheckId.C10, "blocking checkouts on an event loop", count, f"at most {row.limit:g}"
    )
    if count is None:
        return verdict.unknown("the application does not count them")
    return verdict.judged(count <= row.limit, row.advice)


Check = Callable[[PoolFacts, Threshold], ConfigCheck | None]

_CHECKS: dict[CheckId, Check] = {
    CheckId.C1: _check_size,
    CheckId.C2: _check_overflow,
    CheckId.C3: _check_timeout,
    CheckId.C4: _check_recycle,
    CheckId.C5: _check_pre_ping,
    CheckId.C6: _check_keepalive,
    CheckId.C7: _check_sum,
    CheckId.C8: _check_size_is_not_all,
    CheckId.C9: _check_class,
    CheckId.C10: _check_blocking,
}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What all results of one check have in common."""

    check_id: CheckId
    setting: str
    value: float | str | None
    safe_range: str

    def ok(self) -> ConfigCheck:
        return self._found(Result.OK, None)

    def warn(self, cure: str) -> ConfigCheck:
        return self._found(Result.WARN, cure)

    def unknown(self, why: str) -> ConfigCheck:
        return self._found(Result.UNKNOWN, why)

    def judged(self, is_safe: bool, cure: str) -> ConfigCheck:
        return self.ok() if is_safe else self.warn(cure)

    def _found(self, result: Result, cure: str | None) -> ConfigCheck:
        return ConfigCheck(self.check_id, result, self.setting, self.value, self.safe_range, cure)


def _has_queue(pool: PoolSettings) -> bool:
    """Return whether callers may wait for a connection; of an unknown class it is not known."""
    return pool.pool_class not in _NO_QUEUES


def _size(pool: PoolSettings) -> tuple[str, int | None]:
    """Return the setting that bounds what the pool keeps, and what it is set to."""
    is_one_maximum = pool.library in _ONE_MAXIMUM
    return ("max_size", pool.max) if is_one_maximum else ("pool_size", pool.size)


def _no_limit(demand: Demand) -> str:
    name = demand.limit.name
    if not name:
        return "no server is known that the pool's connections lead to: name it with --dsn"
    return f"{name} has not told how many connections it admits"


def _lower(advice: str) -> str:
    """Return a sentence as it continues another; it begins with a name that stays as it is."""
    first, _, rest = advice.partition(" ")
    return advice if "_" in first else f"{first.lower()} {rest}"


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
    """Return whether a recycle time that is absent is one that is off, and not one untold.

    asyncpg's pool has another means, the idle time of its own, which is not on the wire.
    """
    return pool.library is not None and pool.library != "asyncpg"

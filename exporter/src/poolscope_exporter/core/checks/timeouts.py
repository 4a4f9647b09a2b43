"""Check C3 and C14: the wait of a caller for the pool, and for a new connection.

The two have different cures. If `connect_timeout` is longer than `pool_timeout`, an unreachable
server looks like an exhausted pool. Callers then give up in the queue, behind others with
connections that do not open.
"""

from poolscope_exporter.core.checks.library_cures import connect_timeout_setting
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, PoolSettings
from poolscope_exporter.core.checks.subject import CheckSubject, continued
from poolscope_exporter.core.checks.thresholds import Threshold
from poolscope_exporter.core.fleet.pool_numbers import ONE_MAXIMUM

_NO_LIMIT_S = 0.0


def check_pool_timeout(pool: PoolSettings, row: Threshold) -> ConfigCheck | None:
    """Check C3; asyncpg's pool has no time-out, so the longest one of its callers is used."""
    if not pool.has_queue:
        return None
    setting = _pool_setting(pool)
    safe_range = f"{row.lowest:g} to {row.highest:g} s"
    subject = CheckSubject(CheckId.C3, setting, pool.timeout_s, safe_range)
    if pool.timeout_s is not None:
        is_safe = row.lowest <= pool.timeout_s <= row.highest
        cure = f"set {setting} within {safe_range}: {continued(row.advice)}"
        return subject.judged(is_safe, cure)
    if pool.library != "asyncpg":
        return subject.unknown(f"{setting} is not reported")
    if pool.idle_timeout_s is None or not pool.is_used:
        # An older poolscope in the application does not report its callers' time-outs.
        return subject.unknown(
            f"asyncpg's pool has no time-out: pass {safe_range} to each acquire()"
        )
    return subject.warn(f"callers wait for ever: pass timeout={safe_range} to each acquire()")


def check_connect_timeout(pool: PoolSettings, row: Threshold) -> ConfigCheck:
    """Check C14; `row` has the share of the time-out that opening a connection may take."""
    setting, place = connect_timeout_setting(pool)
    limit_s = pool.timeout_s if pool.has_queue else None
    below = "set" if limit_s is None else f"set, and below {_pool_setting(pool)} {limit_s:g} s"
    subject = CheckSubject(CheckId.C14, setting, _connect_value(pool), below)
    timeout_s, opening_s = pool.connect_timeout_s, pool.create_p95_s
    if timeout_s is None:
        return subject.unknown(
            f"{setting} is not known: poolscope cannot read it from a custom creator function, a "
            "service file or an unknown driver"
        )
    if timeout_s == _NO_LIMIT_S:
        return subject.warn(
            f"set {place}: without it an unreachable server blocks each attempt for minutes"
        )
    if limit_s is not None and timeout_s >= limit_s:
        return subject.warn(
            f"set {place} below {limit_s:g} s: otherwise callers give up in the queue first, and "
            "an unreachable server looks like an exhausted pool"
        )
    if opening_s is not None and opening_s >= row.limit * timeout_s:
        return subject.warn(
            f"opening a connection takes up to {opening_s:g} s (95 % of them), "
            f"{opening_s / timeout_s:.0%} of {setting}: look at the network, TLS and the server's "
            "load before attempts fail"
        )
    return subject.ok()


def _connect_value(pool: PoolSettings) -> float | str | None:
    if pool.connect_timeout_s is None:
        return None
    value = "none" if pool.connect_timeout_s == _NO_LIMIT_S else f"{pool.connect_timeout_s:g} s"
    if pool.create_p95_s is None:
        return value
    return f"{value}; 95 % of connections opened within {pool.create_p95_s:g} s"


def _pool_setting(pool: PoolSettings) -> str:
    return "timeout" if pool.library in ONE_MAXIMUM else "pool_timeout"

"""Check C4 to C6: no pool may lend a connection that a proxy, NAT or fail-over has ended.

Each library replaces unused connections in its way. SQLAlchemy checks the age (`pool_recycle`)
before it lends a connection. The pool of asyncpg closes it after
`max_inactive_connection_lifetime`, except for `min_size` connections. In psycopg_pool,
`max_lifetime` is checked when a connection is returned, and one unused connection is closed per
`max_idle`, down to `min_size`. Only its `check` finds a stale connection.
"""

from collections.abc import Iterable, Sequence

from poolscope_exporter.core.checks.keepalive_cures import keepalive_cure
from poolscope_exporter.core.checks.library_cures import CHECK_OF_PSYCOPG, pre_ping_cure
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, PoolSettings, Result
from poolscope_exporter.core.checks.subject import CheckSubject
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Threshold, ThresholdId
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout, tightest

_RECYCLE_SETTINGS = {
    "psycopg_pool": "max_lifetime",
    "asyncpg": "max_inactive_connection_lifetime",
}

_OFF = 0.0


def check_recycle(
    pool: PoolSettings,
    timeouts: Sequence[IdleTimeout],
    threshold: Threshold = DEFAULTS[ThresholdId.C4],
) -> ConfigCheck | None:
    """Check C4: the pool must replace connections before a proxy closes them.

    `timeouts` are those of all proxies between the pool and the server. Returns None if there is
    none, or if the pool keeps no connection that could become old.
    """
    if not timeouts or not pool.keeps_connections:
        return None
    limiting = tightest(timeouts)
    if limiting is None or limiting.seconds is None:
        return _unlimited(pool, timeouts)
    found = _compare(pool, threshold.limit * limiting.seconds, str(limiting))
    silent = _silent(timeouts)
    if found.result is Result.OK and silent is not None:
        # A proxy with an unknown time-out may close them sooner.
        return _subject(pool, found.safe_range).unknown(silent.cure)
    return found


def _compare(pool: PoolSettings, most_s: float, why: str) -> ConfigCheck:
    subject = _subject(pool, f"at most {most_s:g} s")
    value = _replaces_after(pool)
    if value is None and not _tells_recycle(pool):
        cure = f"the age at which the pool replaces connections is not reported; {why}"
        return subject.unknown(cure)
    if value is None or value > most_s:
        return subject.warn(f"set {subject.setting} to at most {most_s:g} s: {why}")
    kept = _kept_unused(pool, most_s)
    return subject.ok() if kept is None else subject.warn(f"{kept}: {why}")


def _unlimited(pool: PoolSettings, timeouts: Sequence[IdleTimeout]) -> ConfigCheck:
    silent = _silent(timeouts)
    if silent is not None:
        return _subject(pool, "not known").unknown(silent.cure)
    return _subject(pool, "any: nothing on the way closes an unused connection").ok()


def _subject(pool: PoolSettings, safe_range: str) -> CheckSubject:
    setting = _RECYCLE_SETTINGS.get(pool.library or "", "pool_recycle")
    return CheckSubject(CheckId.C4, setting, _replaces_after(pool), safe_range)


def _replaces_after(pool: PoolSettings) -> float | None:
    """Return the seconds after which the pool replaces a connection.

    None is never or unreported.
    """
    if pool.library == "asyncpg":
        return pool.idle_timeout_s or None
    return pool.recycle_s


def _tells_recycle(pool: PoolSettings) -> bool:
    """Return whether an absent time means that replacement is off, not that it is unreported."""
    if pool.library == "asyncpg":
        return pool.idle_timeout_s is not None
    return pool.library is not None


def _kept_unused(pool: PoolSettings, most_s: float) -> str | None:
    """Return the cure if the setting is correct but some connections may still stay unused."""
    if pool.library == "asyncpg" and pool.idle_min:
        return (
            f"make the pool with min_size=0: asyncpg keeps min_size={pool.idle_min} connections "
            "open however long they are unused"
        )
    if pool.library == "psycopg_pool" and pool.pre_ping is False and not _shrinks(pool, most_s):
        return (
            f"{CHECK_OF_PSYCOPG}: psycopg_pool looks at max_lifetime when a connection is "
            "returned, so it lends an unused one stale"
        )
    return None


def _shrinks(pool: PoolSettings, most_s: float) -> bool:
    """Return whether psycopg_pool, which closes one per max_idle, closes all of them in time."""
    if pool.idle_min or pool.max is None or not pool.idle_timeout_s:
        return False
    return (pool.max + 1) * pool.idle_timeout_s <= most_s


def _silent(timeouts: Iterable[IdleTimeout]) -> IdleTimeout | None:
    return next((each for each in timeouts if each.seconds is None), None)


def check_pre_ping(
    pool: PoolSettings, row: Threshold, *, is_local: bool = False
) -> ConfigCheck | None:
    """Check C5.

    `row` has the typical duration of a ping, and the duration of a slow network. If `is_local`, the
    connection does not leave this machine: a busy machine or a proxy's network is slow, a note.
    """
    if not pool.keeps_connections or pool.library == "asyncpg":
        return None
    setting = "check" if pool.library == "psycopg_pool" else "pool_pre_ping"
    subject = CheckSubject(
        CheckId.C5, setting, _ping_value(pool),
        f"on; a ping typically takes less than {_ms(row.limit, 0)}",
    )  # fmt: skip
    if pool.pre_ping is None:
        return subject.unknown(f"{setting} is not reported")
    if not pool.pre_ping:
        return subject.warn(pre_ping_cure(pool, row.advice))
    return _compare_ping(subject, pool.ping_s, row, is_local=is_local)


def _compare_ping(
    subject: CheckSubject, ping_s: float | None, row: Threshold, *, is_local: bool
) -> ConfigCheck:
    if ping_s is None or ping_s <= row.limit:
        return subject.ok()
    paid = f"each checkout waits {_ms(ping_s, 1)} for its ping"
    if ping_s < row.highest:
        return subject.ok(f"note: {paid}")
    if is_local:
        return subject.ok(f"note: {paid}: look at this machine's processors, or behind its proxy")
    return subject.warn(
        f"{paid}: look at the network between application and server, and keep {subject.setting} on"
    )


def _ping_value(pool: PoolSettings) -> str | None:
    if pool.pre_ping is None:
        return None
    took = "" if pool.ping_s is None else f", {_ms(pool.ping_s, 1)} per ping as measured"
    return f"on{took}" if pool.pre_ping else "off"


def _ms(seconds: float, digits: int) -> str:
    return f"{1000 * seconds:.{digits}f} ms"


def check_keepalive(
    pool: PoolSettings,
    timeouts: Iterable[IdleTimeout],
    row: Threshold,
    *,
    is_local: bool = False,
) -> ConfigCheck | None:
    """Check C6: a probe must be sent before a NAT or proxy ends the unused connection.

    Returns None if none is known on the path, or if `is_local`: the path does not leave the
    machine. With a declared NAT, a probe must be sent before its idle time-out.
    """
    crossed = [each for each in timeouts if _sees_probes(each)]
    if not crossed or is_local or not pool.keeps_connections:
        return None
    nat = tightest(each for each in crossed if each.source is IdleSource.NAT)
    lowest, wanted_s, highest = _keepalive_range(nat, row)
    value = "off" if pool.keepalive_s == _OFF else pool.keepalive_s
    subject = CheckSubject(CheckId.C6, "TCP keepalive", value, f"{lowest:g} to {highest:g} s")
    if pool.keepalive_s is None:
        return subject.unknown("no open TCP connection of the pool reports its keepalive")
    is_safe = pool.keepalive_s != _OFF and lowest <= pool.keepalive_s <= highest
    is_direct = all(each.source is IdleSource.NAT for each in timeouts)
    cure = keepalive_cure(pool, int(wanted_s), is_direct=is_direct)
    return subject.judged(is_safe, f"{cure}: {nat or _unsafe(pool.keepalive_s, lowest)}")


def _sees_probes(timeout: IdleTimeout) -> bool:
    """Return whether probes may keep a connection from its idle time-out.

    PgBouncer counts the time without a statement, so no probe counts for it. C4 judges that.
    """
    return timeout.seconds != 0 and timeout.source is not IdleSource.PGBOUNCER


def _keepalive_range(nat: IdleTimeout | None, row: Threshold) -> tuple[float, float, float]:
    """Return the least, the best and the most seconds without traffic before a probe."""
    if nat is None or nat.seconds is None or nat.seconds > row.highest:
        return row.lowest, row.lowest, row.highest
    highest = nat.seconds - 1
    if highest >= row.lowest:
        return row.lowest, row.lowest, highest
    # Half of the time-out leaves time for a second probe if the first one is lost.
    return min(row.lowest, 1.0), nat.seconds // 2, highest


def _unsafe(keepalive_s: float, lowest: float) -> str:
    if keepalive_s == _OFF:
        return "no probe is sent now"
    if keepalive_s < lowest:
        return f"probes after {keepalive_s:g} s are more than a proxy needs"
    return f"the first probe is sent only after {keepalive_s:g} s"

"""Check a pool's configuration by the rows C1 to C16 of the documented thresholds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import Final

from poolscope_exporter.core.capacity.demand import NOWHERE, Demand, GrownService
from poolscope_exporter.core.capacity.pods import PodDemand
from poolscope_exporter.core.checks.connection_life import (
    check_keepalive,
    check_pre_ping,
    check_recycle,
)
from poolscope_exporter.core.checks.library_cures import (
    KEEP_DJANGOS_POOL,
    MADE_BY_DJANGO,
    blocking_cure,
    pool_class_cure,
    sharing_cure,
)
from poolscope_exporter.core.checks.model import (
    CheckId,
    ConfigCheck,
    PoolSettings,
    Result,
    settings_of,
)
from poolscope_exporter.core.checks.statement_tracking import check_statements
from poolscope_exporter.core.checks.subject import CheckSubject, continued
from poolscope_exporter.core.checks.thresholds import DEFAULTS, Threshold, ThresholdId, Thresholds
from poolscope_exporter.core.checks.timeouts import check_connect_timeout, check_pool_timeout
from poolscope_exporter.core.fleet.pool_numbers import ONE_MAXIMUM, PoolNumbers
from poolscope_exporter.core.model.idle_timeouts import IdleTimeout
from poolscope_exporter.core.model.pgbouncers import Pooling

KINDS = 1024
"""The number of different configurations with cached checks; a service's processes share one."""

SQLALCHEMY_DEFAULT = (5, 10)
"""The pool_size and max_overflow of an engine that is created without them."""

ONE: Final = 1
ONE_NOTE: Final = "note: one connection serves one caller at a time"
"""Nobody gets such a pool by default: it is for jobs that run one after another."""

_QUEUES = frozenset({
    "QueuePool", "AsyncAdaptedQueuePool",  # SQLAlchemy
    "ConnectionPool", "AsyncConnectionPool",  # psycopg_pool
    "Pool",  # asyncpg
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """The input of the checks of one pool: settings, proxies, demand, pooling and pod.

    With `is_local`, the pool's connections do not leave the machine.
    """

    pool: PoolSettings
    timeouts: tuple[IdleTimeout, ...] = ()
    demand: Demand = NOWHERE
    pooling: Pooling | None = None
    pod: PodDemand | None = None
    is_local: bool = False


class PoolChecks:
    """The checks by given thresholds; pools with equal input share one result."""

    def __init__(self, thresholds: Thresholds = DEFAULTS) -> None:
        self._rows = {row.id: row for row in thresholds}
        self._kept = lru_cache(KINDS)(self._check)

    def check_pool(
        self,
        numbers: PoolNumbers,
        timeouts: tuple[IdleTimeout, ...],
        demand: Demand,
        pooling: Pooling | None = None,
        *,
        pod: PodDemand | None = None,
        is_local: bool = False,
    ) -> tuple[ConfigCheck, ...]:
        """Return the checks that apply to the pool, in the order of their ids."""
        settings = settings_of(numbers)
        return self._kept(PoolFacts(settings, timeouts, demand, pooling, pod, is_local))

    def _check(self, facts: PoolFacts) -> tuple[ConfigCheck, ...]:
        found = (
            check(facts, self._rows[ThresholdId(check_id)]) for check_id, check in _CHECKS.items()
        )
        checks = tuple(each for each in found if each)
        if facts.pool.is_reported:
            return checks
        # A dozen rows without an answer would hide the rows that have one.
        return tuple(each for each in checks if each.result is not Result.UNKNOWN)


def _check_size(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    """Check C1 over all processes in a pod, because the documented row is per pod."""
    pool, pod = facts.pool, facts.pod
    if pod is not None and pod.processes > 1 and pool.has_queue:
        return _check_pod(facts, pod, row)
    setting, size = _size(pool)
    safe_range = f"{row.lowest:g} to {row.highest:g}"
    subject = CheckSubject(CheckId.C1, setting, size, safe_range)
    if not pool.has_queue:
        return None
    if pool.max == ONE:
        return subject.ok(ONE_NOTE)
    if size is not None:
        is_safe = row.lowest <= size <= row.highest
        cure = f"set {setting} within {safe_range}: {continued(row.advice)}"
        return subject.judged(is_safe, cure)
    if pool.library is None:
        return subject.unknown(f"{setting} is not reported")
    return subject.warn(f"set {setting} within {safe_range}: the pool has no limit")


def _check_pod(facts: PoolFacts, pod: PodDemand, row: Threshold) -> ConfigCheck:
    setting, _ = _size(facts.pool)
    safe_range = f"{row.lowest:g} to {row.highest:g} in a {pod.kind}"
    name = f"{setting} of the {pod.processes} processes of a {pod.kind}"
    subject = CheckSubject(CheckId.C1, name, pod.size, safe_range)
    if pod.most == ONE * pod.processes:
        return subject.ok(ONE_NOTE)
    if pod.size is None:
        return subject.unknown(f"{setting} of one of them is not reported, or has no limit")
    most = "" if pod.most in {None, pod.size} else f", and may open {pod.most}"
    limits = f", where they have {pod.limits}" if str(pod.limits) else ""
    cure = (
        f"{_workers(facts.pool, pod)} keep {pod.size} connections{most}{limits}: lower {setting}, "
        f"or run fewer processes in a {pod.kind}"
    )
    return subject.judged(row.lowest <= pod.size <= row.highest, cure)


def _workers(pool: PoolSettings, pod: PodDemand) -> str:
    """Return the number of processes, and the setting of each if all have the same."""
    setting, size = _size(pool)
    each = f"{setting} {size}"
    if pool.library not in ONE_MAXIMUM and pool.max_overflow is not None:
        each = f"{each} + max_overflow {pool.max_overflow}"
    are_alike = pod.size == pod.processes * (size or 0)
    return f"{pod.processes} processes with {each}" if are_alike else f"{pod.processes} processes"


def _check_overflow(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool = facts.pool
    if not pool.has_queue or pool.library in ONE_MAXIMUM:
        return None
    if pool.size is None:
        safe_range = f"{row.lowest:.0%} to {row.highest:.0%} of pool_size"
        subject = CheckSubject(CheckId.C2, "max_overflow", pool.max_overflow, safe_range)
        return subject.unknown("pool_size is not reported, or has no limit")
    # SQLAlchemy takes whole connections: half of 5 is 2 or 3.
    least, most = floor(row.lowest * pool.size), ceil(row.highest * pool.size)
    safe_range = f"{least} to {most}, {row.lowest:.0%} to {row.highest:.0%} of pool_size"
    subject = CheckSubject(CheckId.C2, "max_overflow", pool.max_overflow, safe_range)
    cure = f"set max_overflow within {least} to {most}: {continued(row.advice)}"
    if _has_default_size(pool):
        return subject.ok(f"note: SQLAlchemy's default; {continued(row.advice)}")
    if pool.max_overflow is not None:
        return subject.judged(least <= pool.max_overflow <= most, cure)
    if pool.library is None:
        return subject.unknown("max_overflow is not reported")
    return subject.warn(f"set max_overflow within {least} to {most}: it has no limit")


def _has_default_size(pool: PoolSettings) -> bool:
    """Return whether nobody chose the size; a default alone is nothing to warn of."""
    return pool.library == "sqlalchemy" and (pool.size, pool.max_overflow) == SQLALCHEMY_DEFAULT


def _check_sum(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    """Check C7; if a pool has no limit, the sum of the others is the minimum."""
    demand = facts.demand
    limit, limiting = demand.limit.most, demand.limit.setting
    setting = "connections that all processes may open"
    if not demand.limit.name or limit is None:
        subject = CheckSubject(CheckId.C7, setting, demand.potential or None, "not known")
        return subject.unknown(_no_limit(demand))
    most = int((1 - row.limit) * limit)
    subject = CheckSubject(
        CheckId.C7, setting, demand.largest,
        f"at most {most}: {limiting} {limit} less {row.limit:.0%} in reserve",
    )  # fmt: skip
    who = f"{demand.pools} pool{'s' * (demand.pools != 1)} of {demand.limit.name}"
    if demand.largest > most:
        grown = "".join(map(_grown, demand.grown))
        return subject.warn(
            f"{who} may open {demand.potential} connections{grown}: run fewer or smaller pools, "
            f"or raise {limiting}"
        )
    if demand.unlimited:
        return subject.unknown(f"{demand.unlimited} of {who} report no limit")
    return subject.ok()


def _grown(service: GrownService) -> str:
    return f", and {service.more} more with {service.processes} processes of {service.service}"


def _check_size_is_not_all(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    if not facts.pool.has_queue:
        return None
    setting, size = _size(facts.pool)
    limit, limiting = facts.demand.limit.most, facts.demand.limit.setting
    if limit is None:
        subject = CheckSubject(CheckId.C8, setting, size, "not known")
        return subject.unknown(_no_limit(facts.demand))
    subject = CheckSubject(CheckId.C8, setting, size, f"less than {limiting} {limit}")
    if size is None:
        return subject.unknown(f"{setting} is not reported, or has no limit")
    cure = f"lower {setting}: leave room for workers, migrations and spikes"
    return subject.judged(size < row.limit * limit, cure)


def _check_class(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    pool, limit = facts.pool, facts.demand.limit
    safe_range = "a pool with a queue; NullPool for ephemeral work or before a PgBouncer"
    subject = CheckSubject(CheckId.C9, "pool class", pool.pool_class, safe_range)
    pools_elsewhere = limit.is_bouncer and not pool.keeps_connections
    if pool.pool_class in _QUEUES or pools_elsewhere:
        return subject.ok()
    if not pool.has_queue:
        return subject.warn(pool_class_cure(pool, row.advice))
    return subject.unknown("the pool's class is not reported, or is a custom class")


def _check_blocking(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    count = facts.pool.blocking_checkouts_total
    subject = CheckSubject(
        CheckId.C10, "blocking checkouts on an event loop", count, f"at most {row.limit:g}"
    )
    if count is None:
        return subject.unknown("the application does not count them")
    return subject.judged(count <= row.limit, blocking_cure(facts.pool, row.advice))


def _check_shared(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    shared = facts.pool.shared
    count = None if shared is None else shared.count
    subject = CheckSubject(
        CheckId.C11, "uses of a session by a second owner", count, f"at most {row.limit:g}"
    )
    if shared is None:
        return subject.unknown("the application does not count them")
    return subject.judged(
        shared.count <= row.limit, f"{shared.where}{sharing_cure(facts.pool, row.advice)}"
    )


def _check_statements(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:  # noqa: ARG001 - the row has no number
    if facts.pooling is None:
        return None
    return check_statements(facts.pool.statement_settings, facts.pooling)


def _check_pools_made(facts: PoolFacts, row: Threshold) -> ConfigCheck | None:
    """Check C16, for senders that count the pools which each line makes."""
    made = facts.pool.made
    if made is None:
        return None
    subject = CheckSubject(
        CheckId.C16, f"pools made at {made.call_site}", made.count, f"at most {row.limit:g}"
    )
    if made.count <= row.limit:
        return subject.ok()
    if made.call_site.startswith(MADE_BY_DJANGO):
        return subject.ok(f"note: {KEEP_DJANGOS_POOL}")
    thing = "engine" if facts.pool.library == "sqlalchemy" else "pool"
    return subject.warn(f"{made.count} pools were made at {made.call_site}: make the {thing} once")


Check = Callable[[PoolFacts, Threshold], ConfigCheck | None]

_CHECKS: dict[CheckId, Check] = {
    CheckId.C1: _check_size,
    CheckId.C2: _check_overflow,
    CheckId.C3: lambda facts, row: check_pool_timeout(facts.pool, row),
    CheckId.C4: lambda facts, row: check_recycle(facts.pool, facts.timeouts, row),
    CheckId.C5: lambda facts, row: check_pre_ping(facts.pool, row, is_local=facts.is_local),
    CheckId.C6: lambda facts, row: check_keepalive(
        facts.pool, facts.timeouts, row, is_local=facts.is_local
    ),
    CheckId.C7: _check_sum,
    CheckId.C8: _check_size_is_not_all,
    CheckId.C9: _check_class,
    CheckId.C10: _check_blocking,
    CheckId.C11: _check_shared,
    CheckId.C14: lambda facts, row: check_connect_timeout(facts.pool, row),
    CheckId.C15: _check_statements,
    CheckId.C16: _check_pools_made,
}


def _size(pool: PoolSettings) -> tuple[str, int | None]:
    """Return the setting that limits the kept connections, and its value."""
    is_one_maximum = pool.library in ONE_MAXIMUM
    return ("max_size", pool.max) if is_one_maximum else ("pool_size", pool.size)


def _no_limit(demand: Demand) -> str:
    name = demand.limit.name
    if not name:
        return "no server is known that the pool's connections lead to: name it with --dsn"
    return f"{name} has not reported how many connections it allows"

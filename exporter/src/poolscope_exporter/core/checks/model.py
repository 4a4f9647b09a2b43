"""The checks of a pool's configuration: their ids, their input and their results."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from poolscope.catalogue import StatementSetting
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers, SharedUses
from poolscope_exporter.core.model.pushes import PoolsMade

KEEPS_NO_CONNECTION = frozenset({"NullPool", "NullConnectionPool", "AsyncNullConnectionPool"})
"""The pools that open a connection for each checkout, and close it afterwards."""

_NO_QUEUES = KEEPS_NO_CONNECTION | {"StaticPool", "SingletonThreadPool", "AssertionPool"}


class CheckId(StrEnum):
    """The checks, by the id of their documented row."""

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
    C11 = "C11"
    C14 = "C14"
    C15 = "C15"
    C16 = "C16"


class Result(StrEnum):
    """The result of a check.

    With `unknown`, a fact is missing. With `elsewhere`, this exporter receives only a part of the
    processes, which is too few to warn. The exporter that receives all of them decides. Neither of
    the two means healthy.
    """

    OK = "ok"
    WARN = "warn"
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class ConfigCheck:
    """One check of one pool.

    The configured `value` has the unit of `safe_range`; it is None if it is off or not reported.
    The `cure` is the change to make, the data missing for a result, the exporter that judges, or a
    note on an ok check. It is None if there is nothing to do.
    """

    check_id: CheckId
    result: Result
    setting: str
    value: float | str | None
    safe_range: str
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The numbers of a pool that the checks use; most processes of a service have equal ones.

    `ping_s` is the average duration of a pre-ping. Of the connections, 95 % opened within
    `create_p95_s`. `is_used` is True if a connection was ever checked out. The package of the
    driver is `driver`, None if unknown.
    """

    library: str | None = None
    driver: str | None = None
    pool_class: str | None = None
    max: int | None = None
    size: int | None = None
    max_overflow: int | None = None
    idle_min: int | None = None
    timeout_s: float | None = None
    connect_timeout_s: float | None = None
    create_p95_s: float | None = None
    recycle_s: float | None = None
    idle_timeout_s: float | None = None
    pre_ping: bool | None = None
    ping_s: float | None = None
    keepalive_s: float | None = None
    blocking_checkouts_total: int | None = None
    shared: SharedUses | None = None
    statement_settings: frozenset[StatementSetting] | None = None
    made: PoolsMade | None = None
    is_used: bool = False

    @property
    def is_reported(self) -> bool:
        """Return whether the sender reports any setting; other SDKs report only numbers."""
        settings = (
            self.library, self.pool_class, self.size, self.max_overflow, self.timeout_s,
            self.connect_timeout_s, self.recycle_s, self.idle_timeout_s, self.pre_ping,
            self.keepalive_s, self.statement_settings, self.blocking_checkouts_total, self.shared,
        )  # fmt: skip
        return any(setting is not None for setting in settings)

    @property
    def keeps_connections(self) -> bool:
        """Return whether a connection may be idle in the pool."""
        return self.pool_class not in KEEPS_NO_CONNECTION

    @property
    def has_queue(self) -> bool:
        """Return whether callers may wait for a connection; True also for an unknown class."""
        return self.pool_class not in _NO_QUEUES


def settings_of(numbers: PoolNumbers) -> PoolSettings:
    """Return the numbers that the checks use."""
    return PoolSettings(
        library=numbers.library,
        driver=numbers.driver,
        pool_class=numbers.pool_class,
        max=numbers.max,
        size=numbers.size,
        max_overflow=numbers.max_overflow,
        idle_min=numbers.idle_min,
        timeout_s=numbers.timeout_s,
        connect_timeout_s=numbers.connect_timeout_s,
        # Rounded up to hundredths of a second, for the same reason as the pings below.
        create_p95_s=_hundredths(numbers.create_p95_s),
        recycle_s=numbers.recycle_s,
        idle_timeout_s=numbers.idle_timeout_s,
        pre_ping=numbers.pre_ping,
        # Rounded to tenths of a millisecond, so that processes with a tiny difference share one
        # result.
        ping_s=None if numbers.ping_s is None else round(numbers.ping_s, 4),
        keepalive_s=numbers.keepalive_s,
        blocking_checkouts_total=numbers.blocking_checkouts_total,
        shared=numbers.shared,
        statement_settings=numbers.statement_settings,
        made=numbers.made,
        is_used=bool(numbers.checkouts_total),
    )


def _hundredths(seconds: float | None) -> float | None:
    # Rounded first, because 100 * 2.49 is a little more than 249.
    return None if seconds is None else ceil(round(100 * seconds, 6)) / 100

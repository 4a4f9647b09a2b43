"""Say what a check of a pool's configuration is, what it looks at, and what it finds."""

from dataclasses import dataclass
from enum import StrEnum

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers

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
        """Return whether a connection may lie unused in the pool."""
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

"""The documented thresholds, which alerts, dashboards, verdicts and runbooks use.

To use another number, change it in `alerts/thresholds.toml` and nowhere else.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

Changes = Mapping[str, Mapping[str, Any]]
"""Tables by a row's id, such as `{"T1": {"value": 0.8, "for_s": 60}}`."""


class ThresholdId(StrEnum):
    """The rows of the documented thresholds: T for signals, C for configuration."""

    T1 = "T1"
    T2 = "T2"
    T3 = "T3"
    T4 = "T4"
    T5 = "T5"
    T6 = "T6"
    T7 = "T7"
    T8 = "T8"
    T9 = "T9"
    T10 = "T10"
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


class Unit(StrEnum):
    """The unit of a threshold; a share is from 0 to 1, a ratio may exceed 1."""

    SECONDS = "s"
    SHARE = "share"
    RATIO = "ratio"
    CONNECTIONS = "connections"
    POOLS = "pools"
    EVENTS = "events"
    NONE = ""


class Severity(StrEnum):
    """The urgency of a threshold: act now, act later, or for information."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row; `value` is a limit, `least` and `most` are a safe range, all of them in `unit`.

    A row with `value` and `most` makes a note above `value` and warns from `most` on.

    A number is None if the row does not have it. The condition must last `for_s` before anybody is
    notified. The cure is `advice`, in one or two sentences.
    """

    id: ThresholdId
    title: str
    unit: Unit
    severity: Severity
    advice: str
    value: float | None = None
    least: float | None = None
    most: float | None = None
    for_s: float = 0.0

    @property
    def limit(self) -> float:
        """Return the value; raise ValueError if the row has none."""
        return self._known("value", self.value)

    @property
    def lowest(self) -> float:
        """Return the safe range's lower end; raise ValueError if the row has no range."""
        return self._known("least", self.least)

    @property
    def highest(self) -> float:
        """Return the safe range's upper end; raise ValueError if the row has no range."""
        return self._known("most", self.most)

    def _known(self, key: str, number: float | None) -> float:
        if number is None:
            raise ValueError(f"{self.id} has no {key}")
        return number


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All rows, one for each id, in their order."""

    rows: tuple[Threshold, ...]

    def __getitem__(self, row: ThresholdId) -> Threshold:
        return next(each for each in self.rows if each.id is row)

    def __iter__(self) -> Iterator[Threshold]:
        return iter(self.rows)


class WrongThresholdsError(Exception):
    """Invalid thresholds; `problems` has one line for each, with the accepted range."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


_T, _S = ThresholdId, Severity

DEFAULTS: Final = Thresholds(
    (
        Threshold(
            _T.T1, "Time to get a connection from the pool", Unit.SECONDS, _S.WARNING,
            "Raise max_overflow (asyncpg, psycopg_pool: max_size), or scale the database.",
            value=0.5, for_s=120.0,
        ),
        Threshold(
            _T.T2, "Share of pool_size + max_overflow that is checked out", Unit.SHARE, _S.CRITICAL,
            "Look for sessions that are never yielded back.", value=1.0,
        ),
        Threshold(
            _T.T3, "Check-in rate below check-out rate", Unit.NONE, _S.WARNING,
            "Audit exception paths for leaks.", for_s=300.0,
        ),
        Threshold(
            _T.T4, "Checked-out count rises with no matching check-ins", Unit.NONE, _S.WARNING,
            "This is a connection leak: find who takes connections and does not return them.",
        ),
        Threshold(
            _T.T5, "Time in the pool's queue", Unit.SECONDS, _S.WARNING,
            "Raise max_overflow (asyncpg, psycopg_pool: max_size): it is too small for the bursts.",
            value=2.0,
        ),
        Threshold(
            _T.T6, "Pool time-outs per requested checkout", Unit.SHARE, _S.WARNING,
            "Bring pool_timeout into its range, or relieve the exhausted pool.", value=0.001,
        ),
        Threshold(
            _T.T7, "CPU of the database at peak", Unit.SHARE, _S.WARNING,
            "Lower pool_size: it is too large for the server.", value=0.7,
        ),
        Threshold(
            _T.T8, "Stale sockets at checkout", Unit.EVENTS, _S.WARNING,
            "Recycle connections earlier than the proxy closes them, and turn pre-ping on.",
            value=0.0,
        ),
        Threshold(
            _T.T9, "Share of max_connections that stays free as reserve", Unit.SHARE, _S.WARNING,
            "Run fewer or smaller pools, or raise the quota.", value=0.2,
        ),
        Threshold(
            _T.T10, "Time in the queue, without the time to open a socket", Unit.NONE, _S.INFO,
            "If the queue is slow, enlarge the pool. If opening is slow, check the network.",
        ),
        Threshold(
            _T.C1, "pool_size", Unit.CONNECTIONS, _S.INFO,
            "Size the pool by sustained concurrency; start at the lower end.",
            least=5.0, most=20.0,
        ),
        Threshold(
            _T.C2, "max_overflow per pool_size", Unit.RATIO, _S.INFO,
            "Overflow absorbs bursts before requests queue; start at half of pool_size.",
            least=0.5, most=1.0,
        ),
        Threshold(
            _T.C3, "pool_timeout", Unit.SECONDS, _S.INFO,
            "A shorter time-out fails too early; a longer one hides exhaustion.",
            least=10.0, most=30.0,
        ),
        Threshold(
            _T.C4, "pool_recycle per idle time-out of the proxy", Unit.SHARE, _S.INFO,
            "Recycle connections before the proxy drops them; 300 to 600 s behind cloud NAT.",
            value=0.75,
        ),
        Threshold(
            _T.C5, "pool_pre_ping, and its typical cost", Unit.SECONDS, _S.INFO,
            "Turn pool_pre_ping on: it prevents cascading failures.", value=0.002, most=0.02,
        ),
        Threshold(
            _T.C6, "TCP keepalive", Unit.SECONDS, _S.INFO,
            "Set the keepalive as the cure shows it for your driver.",
            least=300.0, most=600.0,
        ),
        Threshold(
            _T.C7, "Share of max_connections that all pools together leave free", Unit.SHARE,
            _S.INFO, "Run fewer or smaller pools, or raise max_connections.", value=0.2,
        ),
        Threshold(
            _T.C8, "pool_size per max_connections", Unit.SHARE, _S.INFO,
            "Leave room for workers, migrations and spikes: lower pool_size.", value=1.0,
        ),
        Threshold(
            _T.C9, "Pool class", Unit.NONE, _S.INFO,
            "Use AsyncAdaptedQueuePool with async drivers; NullPool only for ephemeral work.",
        ),
        Threshold(
            _T.C10, "Synchronous engine used from an event loop", Unit.EVENTS, _S.WARNING,
            "Use create_async_engine, or run the query in a thread.", value=0.0,
        ),
        Threshold(
            _T.C11, "One session shared by concurrent tasks", Unit.EVENTS, _S.WARNING,
            "Give each request and each task a separate session: async_sessionmaker in a "
            "dependency that yields it.",
            value=0.0,
        ),
        Threshold(
            _T.C14, "connect_timeout, and the share of it that opening a connection takes",
            Unit.SHARE, _S.INFO,
            "Set connect_timeout below pool_timeout. A slow network needs another cure than a full "
            "pool.",
            value=0.5,
        ),
        Threshold(
            _T.C15, "Prepared statements behind a PgBouncer in transaction mode", Unit.NONE,
            _S.INFO,
            "Turn them off: statement_cache_size=0 and prepared_statement_cache_size=0 (asyncpg), "
            "prepare_threshold=None (psycopg). Or set max_prepared_statements in the PgBouncer.",
        ),
        Threshold(
            _T.C16, "Pools with one name, created at one line", Unit.POOLS, _S.INFO,
            "Create the engine once, when the process starts, and not for each request.",
            value=10.0,
        ),
    )
)  # fmt: skip


_NUMBERS = ("value", "least", "most", "for_s")


def changed(thresholds: Thresholds, changes: Changes) -> Thresholds:
    """Return the thresholds with changed numbers; WrongThresholdsError lists all problems.

    A row accepts only the numbers that it has (`value`, or `least` and `most`), `for_s` and
    `severity`.
    """
    problems = [
        f"{name}: is not a threshold; they are {', '.join(ThresholdId)}"
        for name in changes
        if name not in set(ThresholdId)
    ]
    rows = []
    for row in thresholds:
        change = changes.get(row.id, {})
        wrong = list(_problems(row, change))
        problems += wrong
        rows.append(row if wrong else _changed(row, change))
    if problems:
        raise WrongThresholdsError(problems)
    return Thresholds(tuple(rows))


def _changed(row: Threshold, change: Mapping[str, Any]) -> Threshold:
    numbers: dict[str, Any] = {key: float(change[key]) for key in _NUMBERS if key in change}
    severity = Severity(change.get("severity", row.severity))
    return replace(row, severity=severity, **numbers)


def keys(row: Threshold) -> tuple[str, ...]:
    """Return the keys of a row that a user may change."""
    numbers = [key for key in _NUMBERS if getattr(row, key) is not None]
    return (*numbers, "severity")


def _problems(row: Threshold, change: object) -> Iterator[str]:
    if not isinstance(change, Mapping):
        yield f"{row.id}: must be a table: [{row.id}]"
        return
    for key, value in change.items():
        if problem := _problem(row, key, value):
            yield f"{row.id}.{key} = {value}: {problem}"
    ends = [change.get("least", row.least), change.get("most", row.most)]
    if all(map(_is_number, ends)) and ends[0] > ends[1]:
        yield f"{row.id}: least must not exceed most"


def _problem(row: Threshold, key: str, value: Any) -> str | None:
    if key not in keys(row):
        return f"is not a setting of this threshold; they are {', '.join(keys(row))}"
    if key == "severity":
        is_known = value in list(Severity)
        return None if is_known else f"must be one of {', '.join(Severity)}"
    is_share = row.unit is Unit.SHARE and key != "for_s"
    if not _is_number(value) or not 0 <= value <= (1 if is_share else math.inf):
        return "must be a number from 0 to 1" if is_share else "must be a number, 0 or more"
    return None


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)

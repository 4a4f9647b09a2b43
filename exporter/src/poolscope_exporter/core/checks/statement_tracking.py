"""Check C15: without tracking in PgBouncer, no prepared statement may outlive a transaction.

With `pool_mode` transaction or statement, the next transaction of a client may get another server
connection. There the statement is missing, or its name belongs to another client's statement.
PgBouncer 1.21 and later prevents that if `max_prepared_statements` is above 0. For psycopg, two
more conditions apply. PgBouncer must be 1.22 or later, which supports DEALLOCATE ALL. The libpq
must be 17 or later, which ends a statement by a protocol message, because PgBouncer does not
support the command DEALLOCATE.
"""

from dataclasses import dataclass

from poolscope.catalogue import StatementSetting
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.model.pgbouncers import FIRST_TO_TRACK, Pooling, PoolMode, Version

FIRST_FOR_PSYCOPG: Version = (1, 22)
"""The first version that supports DEALLOCATE ALL."""

_S = StatementSetting

_OFF = {
    _S.STATEMENT_CACHE_SIZE: "statement_cache_size=0",
    _S.PREPARED_STATEMENT_CACHE_SIZE: "prepared_statement_cache_size=0",
    _S.PREPARE_THRESHOLD: "prepare_threshold=None",
}
"""The value that switches each setting off, by the driver's name for it."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """A result without the fields that all results share."""

    result: Result
    cure: str | None = None


def check_statements(settings: frozenset[StatementSetting] | None, pooling: Pooling) -> ConfigCheck:
    """Check a pool behind a PgBouncer.

    Its driver keeps statements due to `settings`, None unknown.
    """
    found = _judge(settings, pooling)
    return ConfigCheck(
        CheckId.C15,
        found.result,
        "prepared statements",
        _value(settings),
        f"none kept, or tracked by PgBouncer {pooling.bouncer} ({_described(pooling)})",
        found.cure,
    )


def _judge(settings: frozenset[StatementSetting] | None, pooling: Pooling) -> _Finding:
    if settings == frozenset() or pooling.modes == {PoolMode.SESSION}:
        return _Finding(Result.OK)
    if settings is not None and _is_tracked(settings, pooling):
        return _Finding(Result.OK)
    if settings is None:
        cure = "the application does not report whether its driver keeps prepared statements"
        return _Finding(Result.UNKNOWN, cure)
    if missing := _missing(pooling):
        return _Finding(Result.UNKNOWN, missing)
    return _Finding(Result.WARN, f"set {_off(settings)}, or {_tracking(settings, pooling)}")


def _is_tracked(settings: frozenset[StatementSetting], pooling: Pooling) -> bool:
    """Return whether the PgBouncer surely tracks all statements of this driver."""
    if not pooling.max_prepared_statements:
        return False
    if _S.PREPARE_THRESHOLD not in settings:
        return True
    is_recent = pooling.version is not None and pooling.version >= FIRST_FOR_PSYCOPG
    return is_recent and _S.PREPARED_MAX not in settings


def _missing(pooling: Pooling) -> str | None:
    """Return the missing fact that would decide."""
    who = f"PgBouncer {pooling.bouncer}"
    if not pooling.modes:
        return f"{who} does not report its pool_mode: run poolscope-exporter check"
    if PoolMode.SESSION in pooling.modes:
        modes = " and ".join(sorted(pooling.modes))
        return f"{who} has users of this database in pool_mode {modes}: give all of them one mode"
    if pooling.max_prepared_statements is None:
        return f"{who} does not report max_prepared_statements: look into its configuration"
    return None


def _value(settings: frozenset[StatementSetting] | None) -> str | None:
    if settings is None:
        return None
    kept_by = ", ".join(setting for setting in _OFF if setting in settings)
    return f"kept by {kept_by}" if kept_by else "none kept"


def _described(pooling: Pooling) -> str:
    mode = "/".join(sorted(pooling.modes)) or "unknown"
    tracked = pooling.max_prepared_statements
    shown = "unknown" if tracked is None else tracked
    return f"pool_mode {mode}, max_prepared_statements {shown}"


def _off(settings: frozenset[StatementSetting]) -> str:
    return " and ".join(text for setting, text in _OFF.items() if setting in settings)


def _tracking(settings: frozenset[StatementSetting], pooling: Pooling) -> str:
    """Return the changes that make the PgBouncer track this driver's statements."""
    is_psycopg = _S.PREPARE_THRESHOLD in settings
    needed = FIRST_FOR_PSYCOPG if is_psycopg else FIRST_TO_TRACK
    steps = []
    if pooling.version is None or pooling.version < needed:
        steps.append(f"run PgBouncer {needed[0]}.{needed[1]} or later")
    if not pooling.max_prepared_statements:
        steps.append("set max_prepared_statements above 0 there")
    if _S.PREPARED_MAX in settings:
        steps.append("give psycopg a libpq 17 or later, or set prepared_max=None")
    return " and ".join(steps)

"""Name the alerts that fire for a diagnosis."""

from collections.abc import Iterable, Mapping
from typing import Final

from poolscope_exporter.core.judging.diagnosis import Diagnosis

ALERTS: Final[Mapping[Diagnosis, tuple[str, ...]]] = {
    Diagnosis.CONNECT_FAILING: ("PoolConnectFailing",),
    Diagnosis.LOOP_BLOCKED: ("PoolLoopBlocked",),
    Diagnosis.THREADS_EXHAUSTED: ("PoolExhausted",),
    Diagnosis.SERVER_FULL: ("PoolServerFull", "DatabaseFull"),
    Diagnosis.CONNECTING: ("PoolConnectSlow",),
    Diagnosis.SHARED_ACROSS_FORK: ("PoolSharedAcrossFork",),
    Diagnosis.DEADLOCKED: ("PoolDeadlocked",),
    Diagnosis.LEAKING: ("PoolLeak",),
    Diagnosis.BLOCKED: ("PoolBlocked",),
    Diagnosis.SLOW_QUERIES: ("PoolSlowQueries", "PoolExhausted"),
    Diagnosis.HELD_IDLE: ("PoolIdleInTransaction",),
    Diagnosis.SERVER_SLOW: ("DatabaseCpuSaturated", "PoolExhausted"),
    Diagnosis.UNDERSIZED: ("PoolExhausted",),
    Diagnosis.FULL: ("PoolExhausted",),
}
"""The alerts of each problem; a contract test compares them with the rules.

Whether an alert fires also depends on its other conditions, which Prometheus evaluates.
"""


def alerts_of(diagnoses: Iterable[Diagnosis]) -> tuple[str, ...]:
    """Return the names of the alerts of some diagnoses, each once."""
    return tuple(dict.fromkeys(name for each in diagnoses for name in ALERTS.get(each, ())))

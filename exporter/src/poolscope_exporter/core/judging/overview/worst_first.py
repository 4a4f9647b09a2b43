"""Order pools and held checkouts such that the worst come first."""

from collections.abc import Iterable

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict

VERDICTS = (
    # No owner is left that could return these.
    Verdict.LEAKED,
    Verdict.LOST,
    # These make other callers wait, and may never end.
    Verdict.BLOCKED,
    Verdict.IDLE_IN_TRANSACTION,
    Verdict.HELD_IDLE,
    # These end without intervention.
    Verdict.SLOW_QUERY,
    Verdict.STALLED,
    Verdict.UNKNOWN,
    Verdict.UNCONFIRMED,
    Verdict.WORKING,
)
DIAGNOSES = (
    # Callers may get the results of another process.
    Diagnosis.SHARED_ACROSS_FORK,
    # These fail callers, lose connections, or stop every pool of a server or a process.
    Diagnosis.CONNECT_FAILING,
    Diagnosis.SERVER_FULL,
    Diagnosis.LEAKING,
    Diagnosis.LOOP_BLOCKED,
    Diagnosis.THREADS_EXHAUSTED,
    Diagnosis.DEADLOCKED,
    # These keep callers waiting.
    Diagnosis.CONNECTING,
    Diagnosis.BLOCKED,
    Diagnosis.HELD_IDLE,
    Diagnosis.SLOW_QUERIES,
    Diagnosis.SERVER_SLOW,
    Diagnosis.UNDERSIZED,
    Diagnosis.FULL,
    Diagnosis.UNKNOWN,
    Diagnosis.HEALTHY,
)


def order_checkouts(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Return the held checkouts by verdict; with equal verdicts, the longest held first."""
    return sorted(judgements, key=lambda each: (VERDICTS.index(each.verdict), -each.age_s))


def order_pools(pools: Iterable[PoolAssessment]) -> list[PoolAssessment]:
    """Return the pools by diagnosis; with equal ones, the pool with most waiting callers first.

    Otherwise equal pools keep their order.
    """
    return sorted(
        pools,
        key=lambda each: (
            DIAGNOSES.index(each.diagnosis.diagnosis),
            -(each.numbers.pending or 0),
        ),
    )

"""Order pools and held checkouts for a reader in a hurry: the worst first."""

from collections.abc import Iterable

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict

VERDICTS = (
    # Nobody will return these.
    Verdict.LEAKED,
    Verdict.LOST,
    # These make others wait, and may go on for ever.
    Verdict.BLOCKED,
    Verdict.IDLE_IN_TRANSACTION,
    Verdict.HELD_IDLE,
    # These end by themselves.
    Verdict.SLOW_QUERY,
    Verdict.STALLED,
    Verdict.UNKNOWN,
    Verdict.UNCONFIRMED,
    Verdict.WORKING,
)
DIAGNOSES = (
    # These fail callers, lose connections, or stop every pool of a server or a process.
    Diagnosis.CONNECT_FAILING,
    Diagnosis.SERVER_FULL,
    Diagnosis.LEAKING,
    Diagnosis.LOOP_BLOCKED,
    # These keep callers waiting.
    Diagnosis.CONNECTING,
    Diagnosis.BLOCKED,
    Diagnosis.HELD_IDLE,
    Diagnosis.SLOW_QUERIES,
    Diagnosis.UNDERSIZED,
    Diagnosis.FULL,
    Diagnosis.UNKNOWN,
    Diagnosis.HEALTHY,
)


def order_checkouts(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Return the held checkouts by their verdict; of equal ones, the longest held first."""
    return sorted(judgements, key=lambda each: (VERDICTS.index(each.verdict), -each.age_s))


def order_pools(pools: Iterable[PoolAssessment]) -> list[PoolAssessment]:
    """Return the pools by their diagnosis; of equal ones, that with the most waiting callers first.

    Where that is equal too, the order stays as it was.
    """
    return sorted(
        pools,
        key=lambda each: (
            DIAGNOSES.index(each.diagnosis.diagnosis),
            -(each.numbers.pending or 0),
        ),
    )

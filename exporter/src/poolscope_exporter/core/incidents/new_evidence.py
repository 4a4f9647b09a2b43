"""Decide when the newest evidence against a pool arrived: a leak that lasts is evidence once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.incidents.incident import QUIET
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.model.checkouts import CheckoutKey, Pool

_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class _KnownLeaks:
    """The leaks of a pool, as of the last look; the newest of them arrived at `at_s`."""

    checkouts: frozenset[CheckoutKey]
    leaks_total: int
    lost_places: int
    at_s: float


class NewEvidence:
    """The times of the newest evidence against each pool; times are one monotonic clock."""

    def __init__(self) -> None:
        self._leaks: dict[Pool, _KnownLeaks] = {}

    def newest_at(
        self, state: PoolAssessment, judgements: Sequence[Judgement], now_s: float
    ) -> float | None:
        """Return when the newest evidence against a pool arrived; None if it has no problem.

        The `judgements` are those of the pool.
        """
        found = state.diagnosis
        if found.diagnosis in QUIET:
            return None
        if found.diagnosis is not Diagnosis.LEAKING:
            return now_s if found.evidence_at_s is None else found.evidence_at_s
        return max(self._newest_leak_at(state, judgements, now_s), _hurt_at(state, now_s))

    def keep_present(self, pools: Collection[Pool]) -> None:
        """Drop the leaks of pools that are gone."""
        for pool in self._leaks.keys() - set(pools):
            del self._leaks[pool]

    def _newest_leak_at(
        self, state: PoolAssessment, judgements: Sequence[Judgement], now_s: float
    ) -> float:
        leaked = {each.checkout.key: each.age_s for each in judgements if _is_leaked(each)}
        total, lost = state.numbers.leaks_total or 0, state.numbers.lost_places or 0
        known = self._leaks.get(state.pool)
        if known is None:
            # Without this, each restart of the exporter would begin an incident for an old leak.
            at_s = now_s - min(leaked.values(), default=0.0)
        elif (
            leaked.keys() - known.checkouts or total > known.leaks_total or lost > known.lost_places
        ):
            at_s = now_s
        else:
            at_s = known.at_s
        checkouts = frozenset(leaked) | (known.checkouts if known else frozenset())
        held = {each.checkout.key for each in judgements}
        self._leaks[state.pool] = _KnownLeaks(checkouts & held, total, lost, at_s)
        return at_s


def _is_leaked(judgement: Judgement) -> bool:
    return Verdict.LEAKED in (judgement.verdict, judgement.probable)


def _hurt_at(state: PoolAssessment, now_s: float) -> float:
    """Return when callers of the pool were last hurt, also by the leak: now, if callers wait."""
    hurt_at_s = state.numbers.growth.hurt_at_s
    return now_s if state.numbers.pending else _NEVER if hurt_at_s is None else hurt_at_s

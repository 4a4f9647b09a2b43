"""Keep a pool's diagnosis over a window: bad at once, good only when the evidence is old."""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from poolscope_exporter.core.fleet.growth import WINDOW_S
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.model.checkouts import Pool

LONGEST_LOOK_S: Final = 5.0
"""One instant's diagnosis counts for the time since the previous one, but at most for this time."""

_NO_CAUSE: Final = frozenset({Diagnosis.FULL, Diagnosis.UNKNOWN, Diagnosis.HEALTHY})

_NO_PROBLEM: Final = frozenset({Diagnosis.UNKNOWN, Diagnosis.HEALTHY})

_KNOWN_BETTER: Final = {
    Diagnosis.LEAKING: Diagnosis.HELD_IDLE,
    Diagnosis.SERVER_SLOW: Diagnosis.UNDERSIZED,
}
"""Each cause's appearance before there is evidence: later, more is known of the same trouble."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One instant's diagnosis; `weight` is the caller-seconds that it stands for.

    Its last evidence arrived at `evidence_at_s`; for a counter, this may be long ago.
    """

    at_s: float
    evidence_at_s: float
    found: PoolDiagnosis
    weight: float


@dataclass(slots=True)
class _PoolWindow:
    looks: deque[_Look] = field(default_factory=deque)
    shown: Diagnosis | None = None
    since_s: float = 0.0


class DiagnosisWindows:
    """The diagnoses of every pool over the last seconds; times are one monotonic clock."""

    def __init__(self) -> None:
        self._windows: dict[Pool, _PoolWindow] = {}

    def settle(self, pool: Pool, found: PoolDiagnosis, waiting: int, now_s: float) -> PoolDiagnosis:
        """Add one instant's diagnosis; return the diagnosis that the window supports.

        A number of `waiting` callers wait. A cause stays until the window has no evidence of it. Of
        several causes, the one with the most caller time is returned, with the time of the newest
        evidence of any problem.
        """
        window = self._windows.setdefault(pool, _PoolWindow())
        _add(window, found, waiting, now_s)
        chosen = _choose(window, found, now_s)
        evidence_at_s = _newest_evidence(window.looks)
        if chosen.diagnosis is not window.shown:
            window.shown, window.since_s = chosen.diagnosis, now_s
        since_s = max(0.0, now_s - window.since_s)
        return replace(chosen, since_s=since_s, evidence_at_s=evidence_at_s)

    def drop_others(self, pools: Collection[Pool]) -> None:
        """Drop the windows of pools that are gone."""
        for pool in self._windows.keys() - set(pools):
            del self._windows[pool]


def _add(window: _PoolWindow, found: PoolDiagnosis, waiting: int, now_s: float) -> None:
    looks = window.looks
    elapsed_s = min(now_s - looks[-1].at_s, LONGEST_LOOK_S) if looks else 0.0
    evidence_at_s = now_s if found.evidence_at_s is None else found.evidence_at_s
    looks.append(_Look(now_s, evidence_at_s, found, elapsed_s * max(1, waiting)))
    while looks[0].at_s < now_s - WINDOW_S:
        looks.popleft()


def _newest_evidence(looks: Iterable[_Look]) -> float | None:
    """Return when the newest evidence of any problem arrived; None without a problem."""
    found = (look.evidence_at_s for look in looks if look.found.diagnosis not in _NO_PROBLEM)
    return max(found, default=None)


def _choose(window: _PoolWindow, found: PoolDiagnosis, now_s: float) -> PoolDiagnosis:
    supported = [look for look in window.looks if look.evidence_at_s >= now_s - WINDOW_S]
    causes = [look for look in supported if look.found.diagnosis not in _NO_CAUSE]
    if not causes:
        return _without_cause(supported, found, now_s)
    lost: Counter[Diagnosis] = Counter()
    for look in causes:
        lost[look.found.diagnosis] += look.weight  # type: ignore[assignment]  # typeshed counts ints
    former = None if found.is_probable else _KNOWN_BETTER.get(found.diagnosis)
    if former is not None and former in lost:
        lost[found.diagnosis] += lost.pop(former)
    order = list(Diagnosis)
    worst = max(lost, key=lambda cause: (lost[cause], -order.index(cause)))
    if found.diagnosis is worst:
        return found
    last = next(look for look in reversed(causes) if look.found.diagnosis is worst)
    if found.diagnosis is Diagnosis.HEALTHY:
        return _calming(last, found, now_s)
    return last.found


def _without_cause(supported: Sequence[_Look], found: PoolDiagnosis, now_s: float) -> PoolDiagnosis:
    """Return what was found, but `full` while the window has pressure."""
    pressed = [look for look in supported if look.found.diagnosis is Diagnosis.FULL]
    if found.diagnosis is not Diagnosis.HEALTHY or not pressed:
        return found
    return _calming(pressed[-1], found, now_s)


def _calming(last: _Look, found: PoolDiagnosis, now_s: float) -> PoolDiagnosis:
    calm = f"calm for {now_s - last.evidence_at_s:.0f} s: {found.reasons[0]}"
    return replace(last.found, reasons=(calm, f"before that: {last.found.reasons[0]}"))

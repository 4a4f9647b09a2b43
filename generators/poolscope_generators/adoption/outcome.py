"""Judge the record of an application: is each word right, early enough, and the only one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from poolscope_generators.adoption.record import AppRecord, Phase, PhaseRecord, Shown

WORD_WITHIN_S: Final = 30.0
"""A push, a poll, a push that confirms it, and the seconds until there is evidence."""

NEUTRAL: Final = frozenset({"healthy", "unknown", "full", "connecting"})
"""Words that accuse nobody."""


@dataclass(frozen=True, slots=True)
class Right:
    """The right diagnoses and alerts of a phase, and the alerts that are also true in it.

    An alert with a severity is right with this severity only.
    """

    words: frozenset[str]
    alerts: frozenset[str]
    also: frozenset[str] = frozenset()


_FULL: Final = frozenset({
    "PoolExhausted", "PoolFull", "PoolStuck", "PoolNearExhaustion", "PoolQueueLong",
    "PoolCheckoutSlow", "PoolTimeoutBudgetBurn", "PoolExhaustionPredicted",
})  # fmt: skip
_DOWN: Final = frozenset({
    "DatabaseRestarted", "PoolConnectFailing", "PoolSessionsEnded", "PoolTimeoutBudgetBurn",
    "PoolscopePollFailing", "PoolStaleSocketsCaught", "PoolQueueLong",
})  # fmt: skip

RIGHT: Final[Mapping[Phase, Right]] = {
    Phase.CALM: Right(frozenset({"healthy"}), frozenset()),
    Phase.LEAK: Right(frozenset({"leaking"}), frozenset({"PoolLeak", "PoolLeakSuspected"})),
    Phase.LOCK: Right(frozenset({"blocked"}), frozenset({"PoolBlocked"}), _FULL),
    # Critical while callers are hurt: then it pages in place of an alert on a full pool.
    Phase.EXHAUSTION: Right(frozenset({"undersized", "slow_queries"}),
                            _FULL | {"PoolSlowQueries/critical"}, frozenset({"PoolSlowQueries"})),
    Phase.RESTART: Right(frozenset({"connect_failing"}), frozenset({"DatabaseDown"}), _DOWN),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one phase; `word` and `alert` are the first right ones."""

    record: PhaseRecord
    word: Shown | None
    alert: Shown | None
    faults: tuple[str, ...]


def judge(record: PhaseRecord, *, has_alerts: bool) -> Outcome:
    """Judge one phase that was played."""
    right = RIGHT[record.phase]
    right = replace(right, words=right.words | frozenset(record.also))
    word = _first(record.shown, right.words)
    alert = _first(record.fired, right.alerts)
    faults = [
        *_word_faults(record, right, word),
        *(_alert_faults(record, right, alert) if has_alerts else ()),
        *_count_faults(record),
    ]
    return Outcome(record, word, alert, tuple(faults))


def calm_faults(record: AppRecord) -> list[str]:
    """Return what disturbed the calm, and what is wrong with the adoption itself."""
    faults = [f"another answer than bare: {each}" for each in record.unequal_answers]
    faults += [f"check {each}" for each in record.findings]
    if record.log_lines:
        faults.append(f"{len(record.log_lines)} lines in its log")
    if record.broke_off:
        faults.append(f"the story broke off: {record.broke_off}")
    if record.still_listed:
        faults.append(f"{record.still_listed} processes still listed after their end")
    return faults


def _first(shown: Iterable[Shown], names: frozenset[str]) -> Shown | None:
    right = [each for each in shown if {each.name, _name(each)} & names]
    return min(right, key=lambda each: each.at_s, default=None)


def _name(shown: Shown) -> str:
    """Return the name of a diagnosis, or that of an alert without its severity."""
    return shown.name.partition("/")[0]


def _word_faults(record: PhaseRecord, right: Right, word: Shown | None) -> Iterable[str]:
    if word is None:
        yield f"never {' or '.join(f'`{each}`' for each in sorted(right.words))}"
    elif word.at_s > WORD_WITHIN_S and record.phase is not Phase.CALM:
        yield f"the word came late, after {word.at_s:.0f} s"
    for shown in record.shown:
        if shown.name not in right.words | NEUTRAL:
            yield f"`{shown.name}` after {shown.at_s:.0f} s"


def _alert_faults(record: PhaseRecord, right: Right, alert: Shown | None) -> Iterable[str]:
    if right.alerts and alert is None:
        yield "no right alert"
    for shown in record.fired:
        if _name(shown) not in right.alerts | right.also:
            yield f"{shown.name} after {shown.at_s:.0f} s"


def _count_faults(record: PhaseRecord) -> Iterable[str]:
    if record.count is not None and not record.count.is_right:
        yield f"counted {record.count.counted} of {record.count.truth_before}"

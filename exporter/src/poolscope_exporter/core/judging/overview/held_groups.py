"""Group held checkouts by verdict, route, and the lines that took and keep the connection."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from poolscope.catalogue import Evidence
from poolscope_exporter.core.judging.overview.worst_first import VERDICTS, order_checkouts
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.now_places import KeepingLine


class TakingLine(NamedTuple):
    """The line of the application that took a connection; None is unknown."""

    code_file: str | None
    code_line: int | None
    code_function: str | None


class _Key(NamedTuple):
    verdict: Verdict
    reason: str | None
    evidence: Evidence | None
    route: str | None
    taken_at: TakingLine
    kept_at: KeepingLine | None


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """Checkouts with the same verdict, route and lines, the longest held first; None is unknown."""

    verdict: Verdict
    reason: str | None
    evidence: Evidence | None
    route: str | None
    taken_at: TakingLine
    kept_at: KeepingLine | None
    judgements: tuple[Judgement, ...]

    @property
    def oldest_s(self) -> float:
        """Return the age of the longest held checkout, in seconds."""
        return self.judgements[0].age_s


def group_held(judgements: Iterable[Judgement]) -> list[HeldGroup]:
    """Return the groups by verdict, the worst first; with equal verdicts, the largest first."""
    found: dict[_Key, list[Judgement]] = {}
    for each in order_checkouts(judgements):
        found.setdefault(_key(each), []).append(each)
    groups = [HeldGroup(*key, tuple(members)) for key, members in found.items()]
    return sorted(
        groups,
        key=lambda each: (VERDICTS.index(each.verdict), -len(each.judgements), -each.oldest_s),
    )


def _key(judgement: Judgement) -> _Key:
    checkout = judgement.checkout
    return _Key(
        judgement.verdict,
        judgement.reason,
        judgement.evidence,
        checkout.route,
        taking_line(checkout),
        None if checkout.now is None else checkout.now.line,
    )


def taking_line(checkout: Checkout) -> TakingLine:
    """Return the line that took the connection of a checkout."""
    return TakingLine(checkout.code_file, checkout.code_line, checkout.code_function)

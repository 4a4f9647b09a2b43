"""Count the checkouts that are out for minutes without evidence, by the line that took them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from poolscope.catalogue import OTHER, OwnerKind
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.model.checkouts import Checkout, Pool

LONG_HELD_S: Final = 120.0
"""Longer than a request holds a connection; reports and streams that hold one are few."""

MAX_LINES_PER_POOL: Final = 5
"""Lines with a series each; the checkouts of all further lines of the pool are `other`."""

Line = tuple[str, str]
"""A route and a call site."""


def long_held_lines(
    judgements: Iterable[Judgement], line_of: Callable[[Checkout], Line]
) -> Iterator[tuple[Pool, Line, int]]:
    """Yield how many checkouts of each line are out for long, the largest lines of each pool.

    Checkouts with evidence of a leak are counted as leaks. Long-lived checkouts are declared, so
    they are meant to be out.
    """
    by_pool: dict[Pool, Counter[Line]] = {}
    for judgement in judgements:
        checkout = judgement.checkout
        if judgement.age_s < LONG_HELD_S or judgement.evidence is not None:
            continue
        if checkout.owner_kind is OwnerKind.LONG_LIVED:
            continue
        by_pool.setdefault(checkout.pool, Counter())[line_of(checkout)] += 1
    for pool, lines in by_pool.items():
        for line, count in _largest(lines).items():
            yield pool, line, count


def _largest(lines: Counter[Line]) -> Counter[Line]:
    ordered = sorted(lines.items(), key=lambda item: (-item[1], item[0]))
    found = Counter(dict(ordered[:MAX_LINES_PER_POOL]))
    if rest := sum(count for _, count in ordered[MAX_LINES_PER_POOL:]):
        found[OTHER, OTHER] += rest
    return found

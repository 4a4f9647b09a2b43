"""Count the held checkouts by the call that their owners wait in now."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from poolscope.catalogue import OTHER, Doing
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool, service_pool_of
from poolscope_exporter.core.judging.verdicts import Judgement

MAX_CALLS_PER_POOL: Final = 10
"""Calls with a series each; the checkouts in all further calls are `other`."""


def holding_calls(judgements: Iterable[Judgement]) -> Iterator[tuple[ServicePool, str, int]]:
    """Yield how many checkouts wait in each call, the most frequent calls of each pool.

    An owner that computes itself counts as `application`.
    """
    by_pool: dict[ServicePool, Counter[str]] = {}
    for judgement in judgements:
        now = judgement.checkout.now
        if now is not None:
            calls = by_pool.setdefault(service_pool_of(judgement.checkout.pool), Counter())
            calls[now.call or Doing.APPLICATION.value] += 1
    for pool, calls in by_pool.items():
        ordered = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
        for call, count in ordered[:MAX_CALLS_PER_POOL]:
            yield pool, call, count
        if rest := sum(count for _, count in ordered[MAX_CALLS_PER_POOL:]):
            yield pool, OTHER, rest

"""Compare variants of the same work fairly on a noisy machine: paired, interleaved, repeated."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import fmean, median, stdev

from benchmarks.turns import Block
from benchmarks.variants import BARE, CONTROL, OURS

PRECISION, SHARE = 0.004, 0.1
"""What ratios that are held against a budget shall be known to, either way: to so much of bare, or
to so much of what is added, where that is more."""

MOST = 3
"""Times the processes asked for, after which a ratio remains as it is."""

STUDENT_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""For the 95 % interval of the mean of 2 to 10 processes; that of 10 is safe for more."""

Begin = Callable[[], AbstractContextManager[Mapping[str, Block]]]
"""Begins a process for each variant, and one that is bare; ends them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a variant adds to one checkout and return: microseconds, and as a ratio to bare.

    The errors say how far from the printed mean the true one may be, either way.
    """

    bare_us: float
    added_us: float
    added_error_us: float
    ratio: float
    ratio_error: float


@dataclass(frozen=True, slots=True)
class _Found:
    """What one process found."""

    bare_us: float
    added_us: float
    ratio: float


def compare(begin: Begin, rounds: int, times: int, rng: random.Random) -> dict[str, Cost]:
    """Measure each variant against bare in so many processes, `rounds` blocks in each.

    The processes of all variants take turns, a few milliseconds each, in random order; a process'
    cost is the median of its blocks' differences to the bare block of the same round, so that what
    the machine does meanwhile cancels out. Where things lie in memory differs from process to
    process and makes a percent: so the cost is the mean of many processes'. There are more of them
    until the ratios that count are known well enough, whatever they are.
    """
    found: defaultdict[str, list[_Found]] = defaultdict(list)
    for done in range(MOST * times):
        if done >= times and _are_known(found):
            break
        with begin() as blocks:
            for name, one in _take_turns(blocks, rounds, rng).items():
                found[name].append(one)
    return {name: _cost(each) for name, each in found.items()}


def _take_turns(blocks: Mapping[str, Block], rounds: int, rng: random.Random) -> dict[str, _Found]:
    times: dict[str, list[float]] = {name: [] for name in blocks}
    for _ in range(rounds):
        for name in rng.sample(list(blocks), len(blocks)):
            times[name].append(blocks[name]())
    bare = times.pop(BARE.name)
    return {
        name: _Found(
            median(bare),
            median(within - without for within, without in zip(each, bare, strict=True)),
            median(within / without for within, without in zip(each, bare, strict=True)),
        )
        for name, each in times.items()
    }


def _are_known(found: Mapping[str, list[_Found]]) -> bool:
    held = [_cost(found[name]) for name in (CONTROL.name, OURS.name) if name in found]
    enough = max([PRECISION, *(SHARE * (cost.ratio - 1) for cost in held)])
    return all(cost.ratio_error <= enough for cost in held)


def _cost(found: list[_Found]) -> Cost:
    added, ratios = [each.added_us for each in found], [each.ratio for each in found]
    return Cost(
        bare_us=fmean(each.bare_us for each in found),
        added_us=fmean(added),
        added_error_us=error_of_mean(added),
        ratio=fmean(ratios),
        ratio_error=error_of_mean(ratios),
    )


def error_of_mean(values: list[float]) -> float:
    """Return half the width of the 95 % interval of the mean."""
    factor = STUDENT_T[min(len(values) - 2, len(STUDENT_T) - 1)]
    return float(factor * stdev(values) / len(values) ** 0.5)

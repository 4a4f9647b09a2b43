"""Compare variants of the same work fairly on a noisy machine: paired, interleaved, medians."""

import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.cases import Case
from benchmarks.variants import Control, Ours, Variant

WARM_UP = 100
"""How often a case runs untimed after each change of variant: the interpreter specialises code
anew for what was patched, which an application sees once and not in every block."""

PARTS = 20
"""Of each block; the median of its parts is the block's time, so that another process that takes
the processor meanwhile spoils one part and not the block."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a variant adds to one checkout and return: microseconds, and as a ratio to bare.

    The errors say how far from the printed median the true one may be, either way.
    """

    bare_us: float
    added_us: float
    added_error_us: float
    ratio: float
    ratio_error: float


PRECISION = 0.015
"""What the ratios that are held against a budget shall be known to, either way."""

MOST = 3
"""Times the rounds asked for, after which a ratio remains as it is."""


def compare(
    case: Case, variants: Sequence[Variant], rounds: int, rng: random.Random
) -> dict[str, Cost]:
    """Measure each variant between two bare blocks, in random order, `rounds` times or more.

    It goes on until the ratios that count are known well enough, whatever they are.

    A variant's cost is the median of its paired differences: a block of the variant minus the mean
    of the bare blocks right before and right after it, so that slow drift cancels out. Before each
    block every variant is put on and taken off: where that happened before some blocks only, those
    were two percent faster than others that measured the same.
    """
    pairs: dict[str, list[tuple[float, float]]] = {variant.name: [] for variant in variants}
    _block(case, variants)
    before = _block(case, variants)
    for done in range(MOST * rounds):
        if done >= rounds and _are_known(pairs):
            break
        for variant in rng.sample(variants, len(variants)):
            within = _block(case, variants, variant)
            after = _block(case, variants)
            pairs[variant.name].append(((before + after) / 2, within))
            before = after
    return {name: _cost(measured) for name, measured in pairs.items()}


def _are_known(pairs: dict[str, list[tuple[float, float]]]) -> bool:
    held = [pairs[name] for name in (Control.name, Ours.name) if name in pairs]
    return all(_cost(measured).ratio_error <= PRECISION for measured in held)


def _block(case: Case, variants: Sequence[Variant], variant: Variant | None = None) -> float:
    """Return the microseconds that one checkout and return take, bare or with a variant."""
    for each in variants:
        each.start(case)
        each.stop()
    if variant is not None:
        variant.start(case)
    try:
        gc.collect()
        case.time_s(WARM_UP)
        times = case.times // PARTS
        return median(case.time_s(times) for _ in range(PARTS)) / times * 1e6
    finally:
        if variant is not None:
            variant.stop()


def _cost(measured: list[tuple[float, float]]) -> Cost:
    added = [within - bare for bare, within in measured]
    ratios = [within / bare for bare, within in measured]
    return Cost(
        bare_us=median(bare for bare, _ in measured),
        added_us=median(added),
        added_error_us=_error(added),
        ratio=median(ratios),
        ratio_error=_error(ratios),
    )


def _error(values: list[float]) -> float:
    """Return half the width of the 95 % interval of a median, from the quartiles (McGill 1978)."""
    low, _, high = quantiles(values, n=4)
    return float(1.57 * (high - low) / len(values) ** 0.5)

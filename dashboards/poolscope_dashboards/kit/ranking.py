"""Keep charts readable for hundreds of series: draw the series with the largest values alone."""

from typing import Final

from poolscope_alerts.promql import Labels

TOP: Final = 10
"""Series that a chart draws at most: more lines, and none of them can be followed."""

TOP_BANDS: Final = 20
"""Bands that a state timeline draws at most: more do not fit into its height."""


def top(expression: str, labels: Labels, most: int = TOP) -> str:
    """Return the series with the largest peaks in the time range; `labels` identify a series.

    The set is chosen once, at the end of the range. A plain `topk` chooses again at each step, so
    it draws far more than `most` lines, each of them in pieces.
    """
    peaks = f"max_over_time(({expression})[$__range:$__interval] @ end())"
    return f"(({expression}) and on ({', '.join(labels)}) topk({most}, {peaks}))"

"""Write PromQL with the names of the catalogues, so that no name is spelled a second time.

Every series is aggregated by its full identity: `job` and `instance` differ by transport, and two
exporters that hear the same application expose each of its series twice (hence `max`, not `sum`).
"""

import math

from poolscope import catalogue as wire
from poolscope.catalogue import Kind, Metric
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS, POOL_LABELS
from poolscope_exporter.core.prometheus_names import label_name, metric_name

Labels = tuple[str, ...]

POOL: Labels = POOL_LABELS
SERVICE: Labels = INSTANCE_LABELS[:2]
PROCESS: Labels = INSTANCE_LABELS
SERVICE_POOL: Labels = tuple(label for label in POOL_LABELS if label != INSTANCE_LABELS[2])
"""A pool, whichever of the service's processes has it: processes come and go, budgets stay."""

ROUTE = label_name(wire.HTTP_ROUTE)
EVIDENCE = label_name(wire.EVIDENCE)
CALL_SITE = label_name(wire.CALL_SITE)
USED_AT = label_name(wire.USED_AT)
REASON = label_name(wire.REASON)
KIND = label_name(wire.KIND)
PHASE = label_name(wire.PHASE)
SERVING_AGE = label_name(wire.SERVING_AGE)
STATE = label_name(wire.CONNECTION_STATE)

LOOK_S = 15.0
"""Time between two looks at a condition that lasts."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def name(metric: Metric) -> str:
    """Return the name at Prometheus; a histogram's without `_bucket` and `_count`."""
    return metric_name(metric.name, metric.kind, metric.unit)


def duration(seconds: float) -> str:
    """Return whole seconds as a duration of PromQL; at least one."""
    whole = max(1, round(seconds))
    size, unit = next(each for each in _UNITS if whole % each[0] == 0)
    return f"{whole // size}{unit}"


def selector(metric: str, matchers: str = "", *, over: str = "", offset: str = "") -> str:
    """Return a selector; `over` is a range, `offset` how far back."""
    text = metric + (f"{{{matchers}}}" if matchers else "") + (f"[{over}]" if over else "")
    return f"{text} offset {offset}" if offset else text


def by(labels: Labels, expression: str, how: str = "max") -> str:
    """Return one series for each combination of the labels."""
    return f"{how} by ({', '.join(labels)}) ({expression})"


def per_pool(metric: Metric, matchers: str = "", offset: str = "") -> str:
    """Return a gauge of each pool of each process."""
    return by(POOL, selector(name(metric), matchers, offset=offset))


def rate(metric: str, over: str, matchers: str = "") -> str:
    """Return the rate per second of a counter, for each pool of each process."""
    return by(POOL, f"rate({selector(metric, matchers, over=over)})")


def rate_of_failures(over: str, matchers: str = "") -> str:
    """Return how many a second ask in vain: reasons add up, one told twice does not."""
    failures = selector(name(wire.CHECKOUT_FAILURES), matchers, over=over)
    return by(POOL, by((*POOL, REASON), f"rate({failures})"), "sum")


def increase(
    metric: str, over: str, matchers: str = "", labels: Labels = POOL, *, offset: str = ""
) -> str:
    """Return how much a counter grew."""
    return by(labels, f"increase({selector(metric, matchers, over=over, offset=offset)})")


def on(labels: Labels) -> str:
    """Return the labels by which two sides of an operator match."""
    return f"on ({', '.join(labels)})"


def at_most_looks(expression: str, window_s: float, share: float, pace: float) -> str:
    """Return that an expression held at a share of the looks of a window, whatever its gaps.

    `for` would begin again after each gap.
    """
    over, step = duration(window_s / pace), duration(LOOK_S / pace)
    looks = max(1, round(window_s / pace)) / max(1, round(LOOK_S / pace))
    return f"count_over_time(({expression})[{over}:{step}]) >= {math.ceil(share * looks)}"


def grown_or_begun(metric: str, labels: Labels, over: str) -> str:
    """Return whether a counter grew, or its series began: a series by line begins at 1.

    `increase` alone misses that step. An hour of memory keeps old series from beginning again after
    an outage of the scraping.
    """
    known = by(labels, f"last_over_time({selector(metric, over='1h', offset=over)})")
    grown = increase(metric, over, labels=labels)
    return f"{grown} > 0 or ({by(labels, metric)} unless {known})"


def bucket(metric: Metric, limit: float) -> tuple[str, str]:
    """Return series and matcher of the samples up to a limit; ValueError where it is no bound.

    The same bound is "2" over one transport and "2.0" over another.
    """
    if metric.kind is not Kind.HISTOGRAM or limit not in metric.bounds:
        bounds = ", ".join(f"{bound:g}" for bound in metric.bounds)
        raise ValueError(f"{limit:g} is no bound of {metric.name}; they are {bounds}")
    spellings = {f"{limit:g}", str(float(limit))}
    return f"{name(metric)}_bucket", f'le=~"{"|".join(sorted(spellings)).replace(".", "[.]")}"'

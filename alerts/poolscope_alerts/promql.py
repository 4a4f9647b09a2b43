"""Write PromQL with the names of the catalogues, so that no name is spelled a second time.

Every series is aggregated by its full identity: `job` and `instance` differ by transport, and two
exporters that hear the same application expose each of its series twice (hence `max`, not `sum`).
"""

from poolscope import catalogue as wire
from poolscope.catalogue import Kind, Metric
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS, POOL_LABELS
from poolscope_exporter.core.prometheus_names import label_name, metric_name

Labels = tuple[str, ...]

POOL: Labels = POOL_LABELS
SERVICE: Labels = INSTANCE_LABELS[:2]
SERVICE_POOL: Labels = tuple(label for label in POOL_LABELS if label != INSTANCE_LABELS[2])
"""A pool, whichever of the service's processes has it: processes come and go, budgets stay."""

ROUTE = label_name(wire.HTTP_ROUTE)
EVIDENCE = label_name(wire.EVIDENCE)
CALL_SITE = label_name(wire.CALL_SITE)
REASON = label_name(wire.REASON)
KIND = label_name(wire.KIND)
PHASE = label_name(wire.PHASE)
STATE = label_name(wire.CONNECTION_STATE)

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


def rate(metric: str, over: str, matchers: str = "", offset: str = "") -> str:
    """Return the rate per second of a counter, for each pool of each process."""
    return by(POOL, f"rate({selector(metric, matchers, over=over, offset=offset)})")


def rate_of_failures(over: str, matchers: str = "") -> str:
    """Return how many a second ask in vain: reasons add up, one told twice does not."""
    failures = selector(name(wire.CHECKOUT_FAILURES), matchers, over=over)
    return by(POOL, by((*POOL, REASON), f"rate({failures})"), "sum")


def increase(metric: str, over: str, matchers: str = "", labels: Labels = POOL) -> str:
    """Return how much a counter grew."""
    return by(labels, f"increase({selector(metric, matchers, over=over)})")


def bucket(metric: Metric, limit: float) -> tuple[str, str]:
    """Return series and matcher of the samples up to a limit; ValueError where it is no bound.

    The same bound is "2" over one transport and "2.0" over another.
    """
    if metric.kind is not Kind.HISTOGRAM or limit not in metric.bounds:
        bounds = ", ".join(f"{bound:g}" for bound in metric.bounds)
        raise ValueError(f"{limit:g} is no bound of {metric.name}; they are {bounds}")
    spellings = {f"{limit:g}", str(float(limit))}
    return f"{name(metric)}_bucket", f'le=~"{"|".join(sorted(spellings)).replace(".", "[.]")}"'

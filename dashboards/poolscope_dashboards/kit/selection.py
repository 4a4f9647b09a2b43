"""Choose series by a dashboard's variables, and aggregate them as the alerts do.

What applications publish carries no matcher on `job` and `instance`: over OTLP these are the
application's own, over the exporter's /metrics they are the exporter's. What the exporter itself
publishes is always scraped from it, and has both.
"""

from dataclasses import dataclass

from poolscope import catalogue as wire
from poolscope.catalogue import Metric
from poolscope_alerts.promql import (
    POOL,
    REASON,
    SERVICE_POOL,
    STATE,
    Labels,
    bucket,
    by,
    name,
    selector,
)
from poolscope_dashboards.kit.palette import DIAGNOSES, rank
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.own_metrics import OwnMetric

OF_EXPORTER = 'job=~"$job", instance=~"$instance"'
STEP = "$__rate_interval"
RANGE = "$__range"
P95 = 0.95

NOT_WELL = f'diagnosis!~"{Diagnosis.HEALTHY}|{Diagnosis.UNKNOWN}"'


def joined(*matchers: str) -> str:
    """Return the matchers as one list; empty ones are left out."""
    return ", ".join(matcher for matcher in matchers if matcher)


def per_server(metric: OwnMetric, matchers: str = "", labels: Labels = ("server",)) -> str:
    """Return a gauge of the exporter, once, however many exporters say it."""
    return by(labels, selector(metric.name, joined(OF_EXPORTER, matchers)))


@dataclass(frozen=True, slots=True)
class Selection:
    """The pools that a dashboard shows: matchers on services, on their pools, on their processes.

    Route series are of pools and have no process.
    """

    services: str
    named: str = ""
    processes: str = ""

    @property
    def pools(self) -> str:
        """Return the matchers on pools, whatever the process."""
        return joined(self.services, self.named)

    def app(self, metric: str, matchers: str = "", over: str = "") -> str:
        """Return the selector of a series that applications publish."""
        return selector(metric, joined(self.pools, self.processes, matchers), over=over)

    def judged(self, metric: OwnMetric, matchers: str = "") -> str:
        """Return the selector of a series in which the exporter judges pools."""
        return selector(metric.name, joined(OF_EXPORTER, self.pools, self.processes, matchers))

    def judged_process(self, metric: OwnMetric) -> str:
        """Return the selector of a series on processes, which names no pool."""
        return selector(metric.name, joined(OF_EXPORTER, self.services, self.processes))

    def gauge(self, metric: Metric, matchers: str = "", labels: Labels = POOL) -> str:
        """Return a gauge of each pool of each process."""
        return by(labels, self.app(name(metric), matchers))

    def total(self, metric: Metric, matchers: str = "", labels: Labels = ()) -> str:
        """Return a gauge summed over processes."""
        return summed(self.gauge(metric, matchers), labels)

    def rate(
        self, metric: Metric, matchers: str = "", *, suffix: str = "", per: Labels = POOL
    ) -> str:
        """Return the rate per second of a counter, of each pool of each process."""
        return by(per, f"rate({self.app(name(metric) + suffix, matchers, STEP)})")

    def routes(self, metric: str, labels: Labels, is_own: bool = False) -> str:
        """Return the rate per second of a counter by route, which has no process."""
        matchers = joined(OF_EXPORTER if is_own else "", self.pools)
        once = f"rate({selector(metric, matchers, over=STEP)})"
        return summed(by((*SERVICE_POOL, labels[-1]), once), labels)

    def increase(
        self, metric: Metric, matchers: str = "", *, per: Labels = POOL, over: str = RANGE
    ) -> str:
        """Return how much a counter grew, of each pool of each process."""
        return by(per, f"increase({self.app(name(metric), matchers, over)})")

    def quantile(self, metric: Metric, labels: Labels = (), share: float = P95) -> str:
        """Return a quantile of a histogram, over all processes."""
        buckets = self.rate(metric, suffix="_bucket", per=(*POOL, "le"))
        return f"histogram_quantile({share:g}, {summed(buckets, (*labels, 'le'))})"

    def mean(self, metric: Metric, labels: Labels = ()) -> str:
        """Return the mean of a histogram; nothing where nothing was counted."""
        sums = summed(self.rate(metric, suffix="_sum"), labels)
        return f"{sums} / ({summed(self.rate(metric, suffix='_count'), labels)} > 0)"

    def per_checkout(self, metric: Metric) -> str:
        """Return what a histogram's time adds to each checkout that was asked for."""
        sums = summed(self.rate(metric, suffix="_sum"))
        return f"{sums} / ({self._asked(wire.WAIT_TIME, '_count')} > 0)"

    def slow_share(self, limit_s: float, labels: Labels = ()) -> str:
        """Return the share that waits longer than a limit, or in vain; ValueError for no bound."""
        _, is_within = bucket(wire.WAIT_TIME, limit_s)
        fast = summed(self.rate(wire.WAIT_TIME, is_within, suffix="_bucket"), labels)
        asked = self._asked(wire.WAIT_TIME, "_count", labels)
        return f"({asked} - {fast}) / ({asked} > 0)"

    def _asked(self, metric: Metric, suffix: str = "", labels: Labels = ()) -> str:
        """Return how many a second ask: those who get one, and those who do not.

        Applications without poolscope do not count the latter.
        """
        served = summed(self.rate(metric, suffix=suffix), labels)
        return f"({served} + ({summed(self.failures(), labels)} or 0 * {served}))"

    def failures(self, per: Labels = (*POOL, REASON)) -> str:
        """Return how many a second ask in vain, by reason."""
        return self.rate(wire.CHECKOUT_FAILURES, per=per)

    def timeout_share(self, labels: Labels = ()) -> str:
        """Return time-outs per checkout asked for, as T6 counts them."""
        timeouts = summed(self.rate(wire.TIMEOUTS), labels)
        return f"{timeouts} / ({self._asked(wire.CHECKOUTS, labels=labels)} > 0)"

    def fullness(self, labels: Labels) -> str:
        """Return the share that is out of the fullest pool's connections."""
        used = self.gauge(wire.COUNT, f'{STATE}="{wire.ConnectionState.USED}"')
        return by(labels, f"{used} / {self.gauge(wire.MAX)}")

    def used(self, labels: Labels = ()) -> str:
        """Return how many connections are out."""
        return self.total(wire.COUNT, f'{STATE}="{wire.ConnectionState.USED}"', labels)

    def leading_to(self, matchers: str = "", labels: Labels = POOL) -> str:
        """Return 1 for each pool of each process that the exporter finds to lead there."""
        return by(labels, self.judged(own.POOL_DESTINATION, matchers))

    def held(self, verdicts: str, labels: Labels) -> str:
        """Return the held checkouts of some verdicts; 0 where an exporter judges and finds none."""
        each = (*POOL, "verdict", "evidence", "http_route")
        matching = by(each, self.judged(own.HELD_CHECKOUTS, f'verdict=~"{verdicts}"'))
        return f"{summed(matching, labels)} or {self.nothing(labels)}"

    def nothing(self, labels: Labels) -> str:
        """Return 0 for what an exporter judges."""
        return f"0 * {by(labels, self.judged(own.POOL_DIAGNOSIS))}"

    def diagnosis(self, labels: Labels) -> str:
        """Return the rank of the worst diagnosis."""
        each = (
            f"{rank(word)} * {self.judged(own.POOL_DIAGNOSIS, is_said)}"
            for word in DIAGNOSES
            for is_said in (f'diagnosis="{word}"',)
        )
        return by(labels, " or ".join(each))


def summed(expression: str, labels: Labels = ()) -> str:
    """Return the sum over all that the labels do not tell apart."""
    return by(labels, expression, "sum") if labels else f"sum({expression})"

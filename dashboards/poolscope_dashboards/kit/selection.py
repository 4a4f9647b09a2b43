"""Choose series by a dashboard's variables, and aggregate them as the alerts do.

Series of applications carry no matcher on `job` and `instance`: over OTLP these are the
application's, over the exporter's /metrics they are the exporter's. Series of the exporter itself
are always scraped from it, and have both.
"""

from dataclasses import dataclass

from poolscope import catalogue as wire
from poolscope.catalogue import Effect, Metric
from poolscope_alerts.promql import (
    POOL,
    PROCESS,
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

_HURTS = wire.EFFECTS[wire.CHECKOUT_FAILURES]
_HURTING = "|".join(str(reason) for reason, effect in _HURTS.items() if effect is Effect.HURTS)
HURT = f'{REASON}=~"{_HURTING}"'
"""Failures that hurt a caller: a caller that leaves by itself is none."""

NOT_WELL = f'diagnosis!~"{Diagnosis.HEALTHY}|{Diagnosis.UNKNOWN}"'


def joined(*matchers: str) -> str:
    """Return the matchers as one list; empty ones are left out."""
    return ", ".join(matcher for matcher in matchers if matcher)


def per_server(metric: OwnMetric, matchers: str = "", labels: Labels = ("server",)) -> str:
    """Return a gauge of the exporter, once, however many exporters publish it."""
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

    def judged_process(self, metric: OwnMetric, matchers: str = "") -> str:
        """Return the selector of a series on processes, which names no pool."""
        chosen = joined(OF_EXPORTER, self.services, self.processes, matchers)
        return selector(metric.name, chosen)

    def process_gauge(self, metric: Metric) -> str:
        """Return a gauge of each process, which names no pool."""
        matchers = joined(self.services, self.processes)
        return by(PROCESS, selector(name(metric), matchers))

    def process_total(self, metric: Metric, matchers: str, labels: Labels) -> str:
        """Return a counter of processes, which may name a pool, as of now: summed over them."""
        within = joined(self.services, self.processes, matchers)
        return summed(by((*PROCESS, *labels), selector(name(metric), within)), labels)

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

    def wait_quantile(self, labels: Labels = (), share: float = P95) -> str:
        """Return a quantile of the wait, over callers that got a connection and that failed.

        A failed caller is above every bound: it has no connection, however long it waited. The
        result is then the largest bound.
        """
        served = self.rate(wire.WAIT_TIME, suffix="_bucket", per=(*POOL, "le"))
        # The reason keeps the two apart, so that `or` takes both.
        failed = f'label_replace({self.failures(HURT)}, "le", "+Inf", "", "")'
        return f"histogram_quantile({share:g}, {summed(f'{served} or {failed}', (*labels, 'le'))})"

    def mean(self, metric: Metric, labels: Labels = ()) -> str:
        """Return the mean of a histogram; nothing where nothing was counted."""
        sums = summed(self.rate(metric, suffix="_sum"), labels)
        return f"{sums} / ({summed(self.rate(metric, suffix='_count'), labels)} > 0)"

    def per_checkout(self, metric: Metric) -> str:
        """Return what a histogram's time adds to each checkout that was asked for."""
        sums = summed(self.rate(metric, suffix="_sum"))
        return f"{sums} / ({self._asked(wire.WAIT_TIME, '_count')} > 0)"

    def slow_share(self, limit_s: float, labels: Labels = ()) -> str:
        """Return the share that waits longer than a limit or fails; ValueError for no bound."""
        _, is_within = bucket(wire.WAIT_TIME, limit_s)
        fast = summed(self.rate(wire.WAIT_TIME, is_within, suffix="_bucket"), labels)
        asked = self._asked(wire.WAIT_TIME, "_count", labels)
        return f"({asked} - {fast}) / ({asked} > 0)"

    def _asked(self, metric: Metric, suffix: str = "", labels: Labels = ()) -> str:
        """Return the requests for a connection a second: served ones, and failed ones.

        Applications without poolscope do not count failures.
        """
        served = summed(self.rate(metric, suffix=suffix), labels)
        return f"({served} + ({summed(self.failures(), labels)} or 0 * {served}))"

    def failures(self, matchers: str = "") -> str:
        """Return the requests a second that end without a connection, by reason."""
        return self.rate(wire.CHECKOUT_FAILURES, matchers, per=(*POOL, REASON))

    def failed_share(self, labels: Labels = ()) -> str:
        """Return the share of requested checkouts that time out or meet an error."""
        failed = summed(self.failures(HURT), labels)
        return f"{failed} / ({self._asked(wire.CHECKOUTS, labels=labels)} > 0)"

    def failed_share_in_range(self) -> str:
        """Return the same share over the dashboard's time range."""
        served = summed(self.increase(wire.CHECKOUTS))
        per = (*POOL, REASON)
        every = summed(self.increase(wire.CHECKOUT_FAILURES, per=per))
        return f"{self.failed()} / ({served} + {every} > 0)"

    def failed(self, labels: Labels = (), over: str = RANGE) -> str:
        """Return the number of requested checkouts that timed out or met an error."""
        per = (*POOL, REASON)
        return summed(self.increase(wire.CHECKOUT_FAILURES, HURT, per=per, over=over), labels)

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
        """Return the held checkouts of some verdicts; 0 where an exporter judges and finds none.

        Other SDKs list no holders. For their pools the number is unknown, so there is no 0.
        """
        each = (*POOL, "verdict", "evidence", "http_route")
        matching = by(each, self.judged(own.HELD_CHECKOUTS, f'verdict=~"{verdicts}"'))
        judged, listing = self.judged(own.POOL_DIAGNOSIS), self.app(name(wire.POOL_INFO))
        pools = f"{by(POOL, judged)} and on ({', '.join(POOL)}) {listing}"
        return f"{summed(matching, labels)} or 0 * {by(labels, pools)}"

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
    """Return the sum over the series with equal labels."""
    return by(labels, expression, "sum") if labels else f"sum({expression})"

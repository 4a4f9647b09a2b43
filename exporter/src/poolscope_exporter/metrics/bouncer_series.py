"""The series of a PgBouncer's use, by database and user."""

from collections.abc import Iterator

from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.views import BouncerView
from poolscope_exporter.core.model.bouncer_traffic import named_pools, named_totals
from poolscope_exporter.core.own_metrics import OwnMetric

Sample = tuple[OwnMetric, tuple[str, ...], float]
"""A series, the values of its labels, and its value."""


def traffic_samples(view: BouncerView) -> Iterator[Sample]:
    """Return the samples of the pools and databases; an unknown number has none."""
    if view.traffic is None:
        return
    for pool in named_pools(view.traffic.pools or ()):
        labels = (view.bouncer, pool.database, pool.user)
        yield from _known(own.PGBOUNCER_WAITING_CLIENTS, labels, pool.waiting)
        yield from _known(own.PGBOUNCER_LONGEST_WAIT, labels, pool.longest_s)
    for totals in named_totals(view.traffic.totals or ()):
        labels_of_database = (view.bouncer, totals.database)
        for metric, value in (
            (own.PGBOUNCER_WAIT_TIME, totals.waited_s),
            (own.PGBOUNCER_QUERIES, totals.queries),
            (own.PGBOUNCER_TRANSACTIONS, totals.transactions),
            (own.PGBOUNCER_ASSIGNMENTS, totals.assignments),
        ):
            yield from _known(metric, labels_of_database, value)


def _known(metric: OwnMetric, labels: tuple[str, ...], value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield metric, labels, value

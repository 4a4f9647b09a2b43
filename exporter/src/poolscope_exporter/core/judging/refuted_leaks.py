"""Count the leaks that applications reported although their sessions continued to work."""

from collections.abc import Collection

from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.service_totals.route_totals import ServiceTotals, service_pool_of
from poolscope_exporter.core.judging.leak_evidence import Standing, weigh_evidence
from poolscope_exporter.core.linking.confirmation import Confirmed, State
from poolscope_exporter.core.model.checkouts import CheckoutKey, Instance
from poolscope_exporter.core.own_metrics import LEAKS_REFUTED


class RefutedLeaks:
    """Refuted leaks by service, pool and route; each checkout counts once."""

    def __init__(self) -> None:
        self.totals = ServiceTotals()
        self._counted: set[CheckoutKey] = set()

    def count_refuted(self, reported: CheckoutReport, state: State, now_s: float) -> None:
        """Count a checkout with evidence that is refuted by an answer surely about it."""
        checkout = reported.checkout
        if checkout.evidence is None:
            return
        is_refuted = (
            isinstance(state, Confirmed)
            and checkout.key not in self._counted
            and weigh_evidence(reported, state, now_s) is Standing.REFUTED
        )
        if is_refuted:
            self._counted.add(checkout.key)
        # A series that begins at 1 would hide its first step from `increase()`.
        pool, route = service_pool_of(checkout.pool), checkout.route or ""
        self.totals.add_growth(pool, route, LEAKS_REFUTED.name, int(is_refuted), now_s)

    def keep_refuted(self, keys_alive: Collection[CheckoutKey]) -> None:
        """Drop the checkouts that are no longer held."""
        self._counted.intersection_update(keys_alive)

    def drop_refuted(self, instance: Instance) -> None:
        """Drop the checkouts of a restarted process, because it uses their ids again."""
        self._counted = {key for key in self._counted if key.instance != instance}

"""Histograms and leaks of one pool, added up over the processes of a service."""

from poolscope import catalogue
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.pool_totals import (
    LeakPlace,
    LineLeaks,
    PoolTotals,
    Quantiles,
    pool_totals,
)
from poolscope_exporter.core.model.pushes import HistogramValue
from support.exporter.builders import a_point, a_pool, a_push, an_instance

BOUNDS = (0.1, 1.0)
PLACE = {
    catalogue.EVIDENCE: "request_finished",
    catalogue.HTTP_ROUTE: "/export",
    catalogue.CALL_SITE: "shop/export.py:42",
}


def a_time(*counts: int) -> HistogramValue:
    return HistogramValue(BOUNDS, counts, sum(counts) * 0.5)


def test_quantiles_are_those_of_all_processes_together() -> None:
    points = [a_point(catalogue.WAIT_TIME, a_time(n, 10, 0)) for n in (40, 50)]
    found = pool_totals(points).times

    assert found.keys() == {"wait"}
    assert found["wait"].count == 110
    assert found["wait"].p50_s == 0.1 * 55 / 90
    assert found["wait"].p99_s is not None
    assert found["wait"].p99_s > 0.9


def test_histograms_with_different_bounds_have_a_count_and_no_quantile() -> None:
    other = HistogramValue((5.0,), (1, 0), 1.0)
    points = [a_point(catalogue.USE_TIME, value) for value in (a_time(1, 0, 0), other)]

    assert pool_totals(points).times["use"] == Quantiles(2, None, None, None)


def test_leaks_of_one_line_are_added_up_with_those_that_were_returned() -> None:
    points = [
        a_point(catalogue.LEAKS, 3, attributes=PLACE),
        a_point(catalogue.LEAKS, 2, attributes=PLACE),
        a_point(catalogue.LEAKS_RECOVERED, 1, attributes=PLACE),
        a_point(catalogue.LEAKS, 0, attributes={catalogue.EVIDENCE: "garbage_collected"}),
    ]
    place = LeakPlace("request_finished", "/export", "shop/export.py:42")

    assert pool_totals(points).leaks == (LineLeaks(place, 5, 1),)


def test_a_fleet_returns_the_totals_of_the_wanted_pools_alone() -> None:
    fleet = Fleet()
    for number, name in enumerate(("orders", "orders", "reports")):
        instance = an_instance(f"shop-{number}")
        point = a_point(catalogue.LEAKS, 3, pool=a_pool(instance, name=name), attributes=PLACE)
        fleet.record_push(a_push(point, instance=instance), 100.0)

    found = fleet.totals_of(lambda pool: pool.name == "orders", 101.0)
    assert [each.leaks for each in found.leaks] == [6]
    assert fleet.totals_of(lambda _: False, 101.0) == PoolTotals()

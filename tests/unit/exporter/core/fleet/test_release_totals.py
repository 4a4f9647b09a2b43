"""The versions of a service can be compared, also after the old processes are gone."""

from dataclasses import replace

from poolscope import catalogue
from poolscope.catalogue import Kind, Metric
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.core.fleet.service_totals.release_totals import (
    ReleaseNumbers,
    ReleaseTotals,
)
from poolscope_exporter.core.model.pushes import HistogramValue, Point, Push
from support.exporter.builders import an_instance

IDENTITY = {
    catalogue.POOL_NAME: "orders",
    catalogue.DB_NAMESPACE: "orders",
    catalogue.SERVER_ADDRESS: "10.0.0.1",
    catalogue.SERVER_PORT: "5432",
}


def a_counter(metric: Metric, value: float, **attributes: str) -> Point:
    return Point(metric.name, Kind.COUNTER, metric.unit, {**IDENTITY, **attributes}, value)


def a_push(
    version: str,
    instance: str = "shop-1",
    *,
    counts: tuple[int, ...] = (90, 10, 0),
    checkouts: float = 100.0,
    leaks: float = 0.0,
    errors: float = 0.0,
    sequence: int = 1,
    is_end: bool = False,
) -> Push:
    wait = catalogue.WAIT_TIME
    histogram = HistogramValue((0.1, 1.0), counts, 5.0)
    points = (
        a_counter(catalogue.CHECKOUTS, checkouts),
        a_counter(catalogue.TIMEOUTS, 1.0),
        a_counter(catalogue.LEAKS, leaks, **{catalogue.EVIDENCE: "request_finished"}),
        a_counter(catalogue.CHECKOUT_FAILURES, errors, **{catalogue.REASON: "error"}),
        a_counter(catalogue.CHECKOUT_FAILURES, 50.0, **{catalogue.REASON: "cancelled"}),
        Point(wait.name, Kind.HISTOGRAM, wait.unit, IDENTITY, histogram),
    )
    resource = {catalogue.SERVICE_VERSION: version} if version else {}
    return Push(
        an_instance(instance), resource, points, sequence=sequence, interval_s=5.0, is_end=is_end
    )


def versions(found: list[ReleaseNumbers]) -> dict[str, tuple[int, int, int | None]]:
    return {each.key.version: (each.processes, each.live, each.checkouts) for each in found}


def test_processes_of_one_version_are_added_up() -> None:
    fleet = Fleet()
    fleet.record_push(a_push("1.0", "a", leaks=2.0, errors=3.0), 0.0)
    fleet.record_push(a_push("1.0", "b", leaks=1.0), 10.0)
    (found,) = fleet.releases(12.0)

    assert (found.processes, found.live, found.checkouts) == (2, 2, 200)
    assert (found.timeouts, found.leaks, found.failures) == (2, 3, 3)
    assert found.wait_p95_s is not None
    assert 0.1 < found.wait_p95_s < 1.0
    assert found.first_seen_age_s == 12.0


def test_versions_are_compared_the_newest_first() -> None:
    fleet = Fleet()
    fleet.record_push(a_push("1.0", "a"), 0.0)
    fleet.record_push(a_push("1.1", "b", counts=(0, 0, 100)), 10.0)

    assert [each.key.version for each in fleet.releases(12.0)] == ["1.1", "1.0"]


def test_a_process_that_is_gone_still_counts_for_its_version() -> None:
    fleet = Fleet()
    fleet.record_push(a_push("1.0", "a"), 0.0)
    fleet.record_push(a_push("1.0", "a", checkouts=150.0, sequence=2, is_end=True), 5.0)
    later_s = COUNTER_RETENTION_S + 100.0
    fleet.tick(later_s)
    fleet.record_push(a_push("1.1", "b"), later_s)

    assert versions(fleet.releases(later_s)) == {"1.0": (1, 0, 150), "1.1": (1, 1, 100)}


def test_a_process_that_restarts_under_its_name_is_two_processes() -> None:
    fleet = Fleet()
    first = a_push("1.0", "a")
    fleet.record_push(replace(first, resource={**first.resource, "process.pid": "1"}), 0.0)
    second = a_push("1.1", "a")
    fleet.record_push(replace(second, resource={**second.resource, "process.pid": "2"}), 5.0)

    assert versions(fleet.releases(5.0)) == {"1.0": (1, 0, 100), "1.1": (1, 1, 100)}


def test_a_live_process_that_makes_room_is_not_counted_twice_when_it_comes_back() -> None:
    fleet = Fleet(max_instances=3)
    for name in ("a", "b", "c"):
        fleet.record_push(a_push("1.0", name), 0.0)
    other = replace(a_push("1.0", "x"), instance=an_instance("x", "other"))
    fleet.record_push(other, 1.0)  # one of the three makes room for the other service
    fleet.record_push(replace(other, sequence=2, is_end=True), 2.0)
    for name in ("a", "b", "c"):
        fleet.record_push(a_push("1.0", name, sequence=2), 3.0)

    of_shop = [each for each in fleet.releases(3.0) if each.key.pool.service == "shop"]
    assert [each.checkouts for each in of_shop] == [300]


def test_a_process_without_a_version_is_left_out() -> None:
    fleet = Fleet()
    fleet.record_push(a_push(""), 0.0)

    assert fleet.releases(1.0) == []


def test_a_service_with_many_versions_loses_its_oldest_and_no_other_service_does() -> None:
    totals = ReleaseTotals(most=3)
    fleet = Fleet()
    fleet._releases = totals
    quiet = replace(a_push("1.0"), instance=an_instance("q", "quiet"))
    fleet.record_push(replace(quiet, is_end=True), 0.0)
    for number in range(5):
        fleet.record_push(a_push(f"2.{number}", f"shop-{number}", is_end=True), 1.0 + number)
    fleet.tick(COUNTER_RETENTION_S + 100.0)

    found = [each.key.version for each in fleet.releases(COUNTER_RETENTION_S + 100.0)]
    assert found == ["2.4", "2.3", "1.0"]

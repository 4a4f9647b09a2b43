"""Routes are told by name up to the caps, and never change places with each other."""

from poolscope_exporter.core.fleet.service_totals.route_totals import RouteNames, service_pool_of
from support.exporter.builders import a_pool

ORDERS, REPORTS = (service_pool_of(a_pool(name=name)) for name in ("orders", "reports"))


def test_first_routes_keep_their_names_and_others_are_told_together() -> None:
    names = RouteNames(max_routes_per_pool=2, max_routes=3)
    for _ in range(2):
        assert [names.name(ORDERS, route, 100.0) for route in "abc"] == ["a", "b", "other"]
        assert [names.name(REPORTS, route, 100.0) for route in "abc"] == ["a", "other", "other"]


def test_what_has_no_route_needs_no_room() -> None:
    names = RouteNames(max_routes_per_pool=1)
    assert [names.name(ORDERS, route, 100.0) for route in ("", "other", "a")] == ["", "other", "a"]


def test_route_that_nobody_holds_for_long_makes_room() -> None:
    names = RouteNames(max_routes_per_pool=1, max_routes=1)
    names.name(ORDERS, "a", 100.0)
    names.expire_routes(700.0)
    assert names.name(ORDERS, "b", 700.0) == "other"
    names.expire_routes(700.01)
    assert names.name(REPORTS, "b", 700.01) == "b"
    names.name(REPORTS, "b", 1300.0)
    names.expire_routes(1800.0)
    assert names.name(REPORTS, "c", 1800.0) == "other"

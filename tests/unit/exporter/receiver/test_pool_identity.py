"""The numbers and the held checkouts of a pool meet in one pool, however its name is sent."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.receiver.attributes import MAX_TEXT_LENGTH
from poolscope_exporter.receiver.decode import decode
from support.exporter.otlp_messages import (
    POOL,
    Attributes,
    a_gauge,
    a_marker,
    a_request,
    gauges,
    number,
)


def a_fleet_that_received(pool: Attributes) -> Fleet:
    """Return a fleet after one push: a known and an unknown metric, and one held checkout."""
    checkout = {**pool, catalogue.CHECKOUT_ID: 12}
    request = a_request(
        a_gauge(catalogue.MAX.name, 15, pool),
        a_gauge("db.client.connection.novelty", 1, pool),
        push=(
            a_marker(),
            gauges(catalogue.CHECKOUT_AGE.name, number(8.5, checkout)),
            gauges(catalogue.CHECKOUTS_HELD.name, number(1, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(1, pool)),
        ),
    )
    fleet = Fleet()
    (push,) = decode(request).pushes
    fleet.record_push(push, 100.0)
    return fleet


@pytest.mark.parametrize("length", [199, 200, 201, 220, 255, 256, 257, 1000])
def test_pool_with_a_long_name_is_one_pool_with_numbers_and_held_checkouts(length: int) -> None:
    fleet = a_fleet_that_received({**POOL, catalogue.POOL_NAME: "x" * length})

    [(pool, numbers)] = fleet.pools(100.0).items()
    assert pool.name == "x" * min(length, MAX_TEXT_LENGTH)
    assert (numbers.max, numbers.held_total) == (15, 1)
    assert [held.checkout.pool for held in fleet.held(100.0)] == [pool]


@pytest.mark.parametrize("port", [5432, "5432", 65_536, -1, 1.5, "x", True])
def test_pool_with_any_kind_of_port_is_one_pool(port: object) -> None:
    fleet = a_fleet_that_received({**POOL, catalogue.SERVER_PORT: port})

    [(pool, numbers)] = fleet.pools(100.0).items()
    assert pool.server_port == (5432 if str(port) == "5432" else 0)
    assert (numbers.max, numbers.held_total) == (15, 1)

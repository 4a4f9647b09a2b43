"""The receiver reads where owners are now, and for what connections were out."""

from poolscope import catalogue
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.receiver.decode import decode
from support.exporter.otlp_messages import POOL, Attributes, a_marker, a_request, gauges, number

NOW: Attributes = {
    catalogue.NOW_FILE_PATH: "shop/payments.py",
    catalogue.NOW_LINE_NUMBER: 55,
    catalogue.NOW_FUNCTION_NAME: "pay",
    catalogue.NOW_CALL: "httpx.get",
    catalogue.NOW_LOOKS: 11,
    catalogue.NOW_AGE: 11.2,
}


def a_push_of(metric: catalogue.Metric, value: float, attributes: Attributes) -> Push:
    counts = (
        *(catalogue.CHECKOUTS_HELD, catalogue.CHECKOUTS_LISTED),
        *(catalogue.WAITERS_WAITING, catalogue.WAITERS_LISTED),
    )
    [push] = decode(
        a_request(
            push=(
                a_marker(1),
                gauges(metric.name, number(value, {**POOL, **attributes})),
                *(gauges(each.name, number(1, POOL)) for each in counts),
            )
        )
    ).pushes
    return push


def test_a_checkout_has_the_place_of_its_owner() -> None:
    push = a_push_of(catalogue.CHECKOUT_AGE, 12.0, {catalogue.CHECKOUT_ID: 1, **NOW})
    assert push.held[0].listed[0].now == NowPlace(
        "shop/payments.py", 55, "pay", "httpx.get", 11, 11.2
    )


def test_a_waiter_has_its_place() -> None:
    push = a_push_of(catalogue.WAITER_AGE, 12.0, {catalogue.PHASE: "queue", **NOW})
    now = push.waiters[0].listed[0].now
    assert now is not None
    assert str(now.line) == "waiting in httpx.get at shop/payments.py:55"


def test_a_checkout_that_was_not_looked_at_has_no_place() -> None:
    looks: Attributes = {catalogue.CHECKOUT_ID: 1, catalogue.NOW_LOOKS: 3}
    assert a_push_of(catalogue.CHECKOUT_AGE, 12.0, looks).held[0].listed[0].now is None


def test_the_rows_of_a_profile_are_read() -> None:
    row: Attributes = {
        catalogue.HTTP_ROUTE: "/pay",
        catalogue.TAKEN_AT: "shop.py:1",
        catalogue.NOW_AT: "pay.py:5",
        catalogue.NOW_CALL: "",
        catalogue.DOING: "application",
    }
    [(occupied, seconds)] = a_push_of(catalogue.OCCUPANCY, 3.5, row).occupancy.items()
    assert seconds == 3.5
    assert occupied[1:] == ("/pay", "shop.py:1", "pay.py:5", "", "application")


def test_a_row_with_a_negative_time_is_left_out() -> None:
    assert a_push_of(catalogue.OCCUPANCY, -1.0, {catalogue.DOING: "database"}).occupancy == {}

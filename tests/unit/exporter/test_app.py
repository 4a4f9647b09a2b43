"""The exporter without its listeners: what it logs of the pushes that it takes in."""

import logging

import pytest

from poolscope.catalogue import Kind
from poolscope_exporter.app import Exporter, Outputs
from poolscope_exporter.core.model.pushes import Point
from poolscope_exporter.settings.loading import load_settings
from poolscope_exporter.threads.line_writer import LineWriter
from support.exporter.builders import a_checkout, a_pool, a_push, an_instance, holding

NO_DESCRIPTOR = -1


@pytest.fixture
def exporter() -> Exporter:
    """Return an exporter with room for one held checkout and one pool of a process."""
    flags = {"max_held_checkouts": "1", "max_pools_per_instance": "1"}
    writer = LineWriter(NO_DESCRIPTOR)
    return Exporter(load_settings(flags), Outputs(writer, writer))


def push_two(exporter: Exporter, service: str, sequence: int, *, in_pools: int = 1) -> None:
    """Push two held checkouts, in one pool or in two."""
    instance = an_instance(f"{service}-1", service)
    pools = [a_pool(instance, name=f"pool-{n}") for n in range(in_pools)]
    held = tuple(holding(*(a_checkout(n + 1, pool=pool) for n in range(2)), pool=pool)
                 for pool in pools)  # fmt: skip
    exporter.accept_push(a_push(instance=instance, sequence=sequence, held=held))


def test_each_sender_is_warned_of_once_for_each_reason(
    exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "poolscope_exporter"):
        for sequence in (1, 2):
            push_two(exporter, "shop", sequence)
            push_two(exporter, "bank", sequence)
        for sequence in (3, 4):
            push_two(exporter, "shop", sequence, in_pools=2)
    said = "the receiver left out a part of a push"
    pools, *checkouts = sorted(caplog.messages, key=lambda message: "too_many_pools" not in message)
    assert checkouts == [
        f"sender acme/shop: {said}: too_many_checkouts",
        f"sender acme/bank: {said}: too_many_checkouts",
    ]
    assert pools.startswith(f"sender acme/shop: {said}")


def test_two_kinds_of_a_new_metric_are_logged_once_with_service_and_name(
    exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    gauge = Point("db.client.connection.novelty", Kind.GAUGE, "", {}, 1.0)
    with caplog.at_level(logging.WARNING, "poolscope_exporter"):
        for service, kind in [("shop", Kind.GAUGE), *[("bank", Kind.COUNTER)] * 3]:
            instance = an_instance(service, service)
            push = a_push(gauge._replace(kind=kind), instance=instance, sequence=None)
            result = exporter.accept_push(push)

    assert result.reason == "refused: 1 conflicting_kind"
    assert exporter._scrape().refused["conflicting_kind"] == 3
    [said] = caplog.messages
    assert said.startswith(
        "service acme/bank pushes db.client.connection.novelty as counter, but it was pushed as"
        " gauge before: the receiver left out these points"
    )

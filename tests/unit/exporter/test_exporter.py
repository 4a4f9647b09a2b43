"""The exporter without its listeners: what it logs of the pushes that it takes in."""

import logging
from dataclasses import replace

import pytest

from poolscope.catalogue import HOST_NAME, PROCESS_PID, Kind
from poolscope_exporter import clock
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.incidents.incident import MAX_TEXT
from poolscope_exporter.core.model.pushes import Point, TimeoutReport
from poolscope_exporter.exporter import Exporter, Outputs
from poolscope_exporter.settings.loading import load_settings
from poolscope_exporter.threads.line_writer import LineWriter
from support.exporter.builders import (
    a_checkout,
    a_pool,
    a_push,
    an_instance,
    holding,
    pool_points,
)

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


def push_report(
    exporter: Exporter, sequence: int, text: str, service: str = "shop", *, host: str = "node-1"
) -> PushResult:
    """Push an exhausted pool with the report of its first time-out."""
    instance = an_instance(f"{service}-1", service)
    pool = a_pool(instance)
    push = a_push(
        *pool_points(pool, used=15, idle=0, pending=9),
        instance=instance,
        sequence=sequence,
        resource={HOST_NAME: host, PROCESS_PID: "17"},
    )
    push = replace(push, timeout_reports={pool: TimeoutReport(2.0, text)})
    return exporter.accept_push(push)


def test_an_incident_has_the_report_of_the_push_that_began_it(exporter: Exporter) -> None:
    wall_s = clock.wall_s()
    push_report(exporter, 1, "first")
    exporter.incidents.observe(exporter.display.record_shown(), clock.wall_s())
    push_report(exporter, 2, "second")

    [incident] = exporter.display.shown_incidents().incidents
    assert incident.timeout_report
    assert (incident.timeout_report.process, incident.timeout_report.text) == ("node-1:17", "first")
    assert wall_s - 2 <= incident.timeout_report.at_s <= clock.wall_s() - 2


def test_the_name_of_the_process_in_a_report_is_bounded(exporter: Exporter) -> None:
    push_report(exporter, 1, "first", host="n" * 256)
    exporter.incidents.observe(exporter.display.record_shown(), clock.wall_s())

    [incident] = exporter.display.shown_incidents().incidents
    assert incident.timeout_report
    assert len(incident.timeout_report.process) == MAX_TEXT


def test_a_refused_push_adds_no_report() -> None:
    writer = LineWriter(NO_DESCRIPTOR)
    exporter = Exporter(load_settings({"max_instances": "1"}), Outputs(writer, writer))
    assert push_report(exporter, 1, "first", "bank").accepted
    assert not push_report(exporter, 1, "first", "shop").accepted
    shop = service_pool_of(a_pool(an_instance("shop-1", "shop")))
    assert exporter.incidents._early_reports.take_early(shop) is None
    bank = service_pool_of(a_pool(an_instance("bank-1", "bank")))
    assert exporter.incidents._early_reports.take_early(bank) is not None

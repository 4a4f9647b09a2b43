"""No body, whatever it holds, ends the exporter or spoils what it tells of others.

`make test-long` tries a million (`HOSTILE_BODIES`); a failure names its seed and its body.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from poolscope_exporter.core.correlator import Correlator
from poolscope_exporter.core.fleet.process_names import process_names
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.metrics.scrape import Scrape
from poolscope_exporter.receiver.decode import (
    MalformedPushError,
    TooManyMessagesError,
    decode,
    parse_json,
    parse_protobuf,
)
from poolscope_exporter.web.rows import checkout_row, pool_row
from support.exporter.otlp_messages import a_request, a_sum
from support.exporter.pages import pool_page, start_page
from support.processes.mutations import corpus, hostile_json, hostile_protobuf

BODIES = int(os.environ.get("HOSTILE_BODIES", "20000"))
SHOWN_EVERY = 1_000
PUSHED_EVERY_S = 0.05
WELL_BEHAVED = a_request(a_sum("poolscope.checkouts", 7), resource={"service.name": "witness"})

Parse = Callable[[bytes], ExportMetricsServiceRequest]


@pytest.mark.parametrize(
    ("parse", "bodies", "share"),
    [(parse_protobuf, hostile_protobuf, 0.75), (parse_json, hostile_json, 0.25)],
)
def test_whatever_a_body_holds_it_is_heard_or_refused_and_all_stays_presentable(
    parse: Parse, bodies: Callable[[int], Iterator[bytes]], share: float
) -> None:
    seed = int(os.environ.get("HOSTILE_SEED", "1"))
    correlator = Correlator([])
    heard = 0
    for number, body in enumerate(islice(bodies(seed), int(BODIES * share))):
        now_s = 1000.0 + number * PUSHED_EVERY_S
        try:
            heard += take(correlator, parse, body, now_s)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the body must be told
            pytest.fail(f"seed {seed}, body {number}: {exc!r} for {body!r}")
        if number % SHOWN_EVERY == 0:
            show(correlator, now_s)
    assert heard > BODIES * share / 10, "the mutations leave too little that can be read"


def test_the_valid_requests_are_heard_in_full_but_for_the_summary() -> None:
    correlator = Correlator([])
    refused = [decode(request).refused for request in corpus()]

    assert [dict(each) for each in refused] == [{}, {"summary": 1}, {"summary": 1}, {}]
    for number, request in enumerate(corpus()):
        for push in decode(request).pushes:
            correlator.take_push(push, 100.0 + number)
    assert len(correlator.fleet.held(104.0)) == 1


def take(correlator: Correlator, parse: Parse, body: bytes, now_s: float) -> bool:
    try:
        pushes = decode(parse(body)).pushes
    except (MalformedPushError, TooManyMessagesError):
        return False
    for push in pushes:
        correlator.take_push(push, now_s)
    return True


def show(correlator: Correlator, now_s: float) -> None:
    """Render all that is shown, as readers read it; a witness's numbers must be among it."""
    for push in decode(WELL_BEHAVED).pushes:
        correlator.take_push(push, now_s)
    situation = correlator.situation(now_s, [])
    series = tuple(correlator.fleet.series(now_s))
    scrape = Scrape(situation, series, correlator.fleet.route_totals(), (), (), {}, {})
    exposition = Exposition(lambda: scrape)
    chunks, _ = asyncio.run(exposition.render("text/plain"))
    samples = [
        sample for family in parse_text(b"".join(chunks).decode()) for sample in family.samples
    ]
    witness = [each for each in samples if each.labels.get("service_name") == "witness"]
    assert ("poolscope_checkouts_total", 7.0) in [(each.name, each.value) for each in witness]
    start_page(situation)
    for state in situation.pools:
        pool_page(situation, service=state.pool.instance.name, pool=state.pool.name)
    names = process_names(situation.instances)
    for judgement in situation.judgements:
        checkout_row(judgement, names)
    for pool in situation.pools:
        pool_row(pool, names)

"""Only pushes that the exporter accepts slow the fast pushes of processes under pressure."""

from collections import Counter

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from poolscope.catalogue import INTERVAL_HEADER, PUSH_PRESSURE, SERVICE_INSTANCE_ID
from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.listeners.tokens import Keyring, parse_tokens
from poolscope_exporter.receiver.endpoint import ReceiverCounts, create_receiver
from poolscope_exporter.receiver.senders import Senders
from support.exporter.otlp_messages import SHOP, a_gauge, a_marker, a_request

MANY = 400
"""Processes that together may push every two seconds."""


class Judge:
    """Accepts every push, or refuses every one."""

    def __init__(self, *, accepts: bool = True) -> None:
        self.accepts = accepts

    def accept(self, push: Push) -> PushResult:
        return PushResult(0 if self.accepts else len(push.points), None, accepted=self.accepts)


class Endpoint:
    """A receiver that takes the tokens of two owners, or needs none."""

    def __init__(
        self, judge: Judge | None = None, tokens: str | None = None, limits: Limits | None = None
    ) -> None:
        self.judge = judge or Judge()
        senders = Senders(Keyring(parse_tokens(tokens)), Counter()) if tokens else None
        app = create_receiver(
            self.judge.accept, senders, ReceiverCounts(), limits=limits or Limits()
        )
        self._transport = httpx.ASGITransport(app)

    async def answered_interval_s(
        self, request: ExportMetricsServiceRequest, token: str | None = None
    ) -> float | None:
        """Push; return the interval that the answer allows, None where it names none."""
        headers = {"Content-Type": "application/x-protobuf"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with httpx.AsyncClient(
            transport=self._transport, base_url="http://127.0.0.1"
        ) as client:
            body = request.SerializeToString()
            answer = await client.post("/v1/metrics", content=body, headers=headers)
        text = answer.headers.get(INTERVAL_HEADER)
        return None if text is None else float(text)


def pushes(
    count: int, *, is_pressed: bool = True, prefix: str = "shop"
) -> ExportMetricsServiceRequest:
    """Return one request with a push of each of so many processes."""
    request = ExportMetricsServiceRequest()
    for number in range(count):
        resource = {**SHOP, SERVICE_INSTANCE_ID: f"{prefix}-{number}"}
        marker = a_marker(**{PUSH_PRESSURE: is_pressed})
        request.MergeFrom(a_request(a_gauge("m", 1), push=(marker,), resource=resource))
    return request


async def test_processes_under_pressure_whose_pushes_are_accepted_slow_one_another() -> None:
    assert await Endpoint().answered_interval_s(pushes(MANY)) == pytest.approx(2.0)


async def test_pushes_that_are_refused_slow_nobody() -> None:
    endpoint = Endpoint(Judge(accepts=False))
    assert await endpoint.answered_interval_s(pushes(MANY)) == 1.0


async def test_pushes_for_the_processes_of_another_token_slow_nobody() -> None:
    endpoint = Endpoint(tokens="first a\nsecond b")
    await endpoint.answered_interval_s(pushes(MANY, is_pressed=False), token="first")
    assert await endpoint.answered_interval_s(pushes(MANY), token="second") == 1.0


async def test_pushes_that_are_refused_do_not_hide_the_pressure_of_others() -> None:
    endpoint = Endpoint()
    await endpoint.answered_interval_s(pushes(MANY))
    endpoint.judge.accepts = False
    refused = pushes(MANY, is_pressed=False)
    assert await endpoint.answered_interval_s(refused) == pytest.approx(2.0)


async def test_no_more_processes_count_than_the_exporter_takes() -> None:
    endpoint = Endpoint(limits=Limits(max_instances=300))
    assert await endpoint.answered_interval_s(pushes(MANY)) == pytest.approx(1.5)
    further = pushes(MANY, prefix="further")
    assert await endpoint.answered_interval_s(further) == pytest.approx(1.5)


async def test_senders_other_than_poolscope_get_no_interval() -> None:
    assert await Endpoint().answered_interval_s(a_request(a_gauge("m", 1))) is None

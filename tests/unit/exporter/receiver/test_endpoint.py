"""The receiver: every request is answered, and none ends it."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from google.protobuf import json_format
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.listeners.tokens import Keyring, parse_tokens
from poolscope_exporter.receiver import bodies
from poolscope_exporter.receiver.bodies import decompress
from poolscope_exporter.receiver.endpoint import ReceiverCounts, create_receiver
from poolscope_exporter.receiver.refusals import Outcome, RefusedError
from poolscope_exporter.receiver.senders import Senders
from support.exporter.otlp_messages import a_gauge, a_request, a_summary

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
GZIP = {"Content-Encoding": "gzip"}
TOKEN = "t0k3n"
MAX_BODY = Limits().max_body

BODY = a_request(a_gauge("poolscope.m", 1)).SerializeToString()
JSON_BODY = json_format.MessageToJson(a_request(a_gauge("poolscope.m", 1))).encode()


class PushRecorder:
    """Records pushes, and answers each with the result that the test gives."""

    def __init__(self, result: PushResult | None = None, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.pushes: list[Push] = []
        self.counts = ReceiverCounts()
        self._result = result or PushResult(0, None)
        self._app: FastAPI | None = None

    def accept(self, push: Push) -> PushResult:
        self.pushes.append(push)
        return self._result

    def client(self, token: str | None = None, address: str = "127.0.0.1") -> httpx.AsyncClient:
        keyring = Keyring(parse_tokens(token)) if token else None
        senders = Senders(keyring, self.counts.refused) if keyring else None
        if self._app is None:
            self._app = create_receiver(self.accept, senders, self.counts, limits=self._limits)
        transport = httpx.ASGITransport(self._app, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    @property
    def outcomes(self) -> dict[str, int]:
        return {name: count for name, count in self.counts.requests.items() if count}


async def post(
    recorder: PushRecorder,
    body: bytes | AsyncIterator[bytes],
    headers: dict[str, str],
    token: str | None = None,
) -> httpx.Response:
    async with recorder.client(token) as client:
        return await client.post("/v1/metrics", content=body, headers=headers)


def status_of(response: httpx.Response) -> Status:
    return Status.FromString(response.content)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, PROTOBUF),
        (JSON_BODY, JSON),
        (gzip.compress(BODY), PROTOBUF | GZIP),
        (gzip.compress(JSON_BODY), JSON | GZIP),
        (gzip.compress(BODY[:10]) + gzip.compress(BODY[10:]), PROTOBUF | GZIP),
    ],
)
async def test_a_push_is_heard_and_answered_in_its_own_encoding(
    body: bytes, headers: dict[str, str]
) -> None:
    recorder = PushRecorder()

    response = await post(recorder, body, headers)

    assert response.status_code == 200
    assert headers["Content-Type"].startswith(response.headers["content-type"])
    assert response.content == (b"{}" if headers["Content-Type"] == JSON["Content-Type"] else b"")
    assert [push.instance.name for push in recorder.pushes] == ["shop"]
    assert recorder.outcomes == {"ok": 1}


async def test_refused_points_are_answered_with_partial_success() -> None:
    recorder = PushRecorder(PushResult(2, "refused: 2 unknown_metric"))
    body = a_request(a_summary("poolscope.m")).SerializeToString()

    response = await post(recorder, body, PROTOBUF)

    partial = ExportMetricsServiceResponse.FromString(response.content).partial_success
    assert response.status_code == 200
    assert partial.rejected_data_points == 3
    assert partial.error_message == "summary, refused: 2 unknown_metric"
    assert recorder.counts.refused == {"summary": 1}
    assert recorder.outcomes == {"partial": 1}


async def test_warning_about_a_push_that_was_kept_is_answered_with_nothing_rejected() -> None:
    recorder = PushRecorder(PushResult(0, None, warning="several processes push as one"))
    response = await post(recorder, BODY, PROTOBUF)
    partial = ExportMetricsServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_data_points == 0
    assert partial.error_message == "several processes push as one"
    assert recorder.outcomes == {"ok": 1}


@pytest.mark.parametrize(
    ("body", "headers", "http_status", "code", "outcome"),
    [
        (b"\x0a\xff", PROTOBUF, 400, 3, "malformed"),
        (BODY, PROTOBUF | GZIP, 400, 3, "malformed"),
        (gzip.compress(BODY)[:-4], PROTOBUF | GZIP, 400, 3, "malformed"),
        (gzip.compress(b"") * 17, PROTOBUF | GZIP, 400, 3, "malformed"),
        (b"x" * (MAX_BODY + 1), PROTOBUF, 413, 8, "too_large"),
        (gzip.compress(b"\0" * (16 * 1024 * 1024 + 1)), PROTOBUF | GZIP, 413, 8, "too_large"),
        (BODY, {"Content-Type": "text/plain"}, 415, 3, "unsupported"),
        (BODY, {}, 415, 3, "unsupported"),
        (BODY, PROTOBUF | {"Content-Encoding": "br"}, 415, 3, "unsupported"),
    ],
)
async def test_a_bad_request_gets_one_clear_error(
    body: bytes, headers: dict[str, str], http_status: int, code: int, outcome: str
) -> None:
    recorder = PushRecorder()

    response = await post(recorder, body, headers)

    assert response.status_code == http_status
    assert status_of(response).code == code
    assert status_of(response).message
    assert recorder.pushes == []
    assert recorder.outcomes == {outcome: 1}
    assert (await post(recorder, BODY, PROTOBUF)).status_code == 200


async def test_an_error_of_a_json_sender_is_json() -> None:
    response = await post(PushRecorder(), b"{", JSON)

    assert response.status_code == 400
    assert response.json() == {
        "code": 3,
        "message": "the body is not an OTLP ExportMetricsServiceRequest in JSON",
    }


async def test_a_body_of_undeclared_size_is_read_no_further_than_the_limit() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY:
            sent += 65536
            yield b"\0" * 65536

    response = await post(PushRecorder(), endless(), PROTOBUF)

    assert response.status_code == 413


def test_a_gzip_bomb_never_unfolds_beyond_the_limit() -> None:
    bomb = zlib.compressobj(wbits=31)
    body = b"".join(bomb.compress(b"\0" * 2**20) for _ in range(200)) + bomb.flush()

    with pytest.raises(RefusedError, match="exceeds 16 MiB") as info:
        decompress(body, Limits().max_decompressed)

    assert info.value.outcome is Outcome.TOO_LARGE


async def test_a_body_that_dawdles_is_given_up() -> None:
    async def dawdling() -> AsyncIterator[bytes]:
        yield BODY[:1]
        await asyncio.Event().wait()

    recorder = PushRecorder(limits=Limits(body_timeout_s=0.01))

    response = await post(recorder, dawdling(), PROTOBUF)

    assert response.status_code == 408
    assert recorder.outcomes == {"too_slow": 1}


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer tökén"]
)
async def test_without_the_token_nothing_is_heard(authorization: str | None) -> None:
    recorder = PushRecorder()
    shown = {} if authorization is None else {"Authorization": authorization}

    async with recorder.client(TOKEN) as client:
        headers = httpx.Headers(PROTOBUF | shown, encoding="utf-8")
        response = await client.post("/v1/metrics", content=BODY, headers=headers)

    assert response.status_code == 401
    assert TOKEN not in response.text
    assert recorder.pushes == []
    assert recorder.outcomes == {"unauthorized": 1}


async def test_with_the_token_a_push_is_heard() -> None:
    recorder = PushRecorder()

    response = await post(recorder, BODY, PROTOBUF | {"Authorization": f"Bearer {TOKEN}"}, TOKEN)

    assert response.status_code == 200
    assert len(recorder.pushes) == 1


@pytest.mark.parametrize("size", [1, 200_000])
async def test_bodies_of_any_size_are_decoded_alike(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_LARGE_BODY", 100_000)
    body = a_request(a_gauge("poolscope.m", 1, {"a": "x" * size})).SerializeToString()
    recorder = PushRecorder()

    response = await post(recorder, body, PROTOBUF)

    assert response.status_code == 200
    assert len(recorder.pushes) == 1


async def test_who_speaks_for_anothers_instance_is_refused_and_not_forwarded() -> None:
    recorder = PushRecorder()
    forwarded: list[tuple[bytes, bool]] = []
    senders = Senders(Keyring(parse_tokens("first a\nsecond b")), recorder.counts.refused)
    app = create_receiver(
        recorder.accept, senders, recorder.counts, lambda *request: forwarded.append(request)
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answers = [
            await client.post(
                "/v1/metrics",
                content=BODY,
                headers={**PROTOBUF, "Authorization": f"Bearer {token}"},
            )
            for token in ("first", "second", "first")
        ]

    told = [ExportMetricsServiceResponse.FromString(each.content) for each in answers]
    assert [each.partial_success.rejected_data_points for each in told] == [0, 1, 0]
    assert "pushed with another token" in told[1].partial_success.error_message
    assert (len(recorder.pushes), forwarded) == (2, [(BODY, False)] * 2)
    assert recorder.counts.refused["foreign_token"] == 1
    assert recorder.outcomes == {"ok": 2, "partial": 1}


@pytest.mark.parametrize("body", [b"\x0a\xff", b"{"])
async def test_what_is_refused_is_not_forwarded(body: bytes) -> None:
    recorder = PushRecorder()
    forwarded: list[tuple[bytes, bool]] = []
    app = create_receiver(
        recorder.accept, None, recorder.counts, lambda *request: forwarded.append(request)
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post("/v1/metrics", content=body, headers=PROTOBUF)

    assert answer.status_code == 400
    assert forwarded == []


async def test_a_body_that_would_unfold_in_memory_is_refused_before_it_is_decoded() -> None:
    recorder = PushRecorder()
    heavy = b"\x0a\x00" * 600_000
    heavy_json = b'{"resourceMetrics": [' + b"{}," * 600_000 + b"{}]}"

    for body, headers in ((heavy, PROTOBUF), (heavy_json, JSON)):
        response = await post(recorder, body, headers)
        assert response.status_code == 413

    assert recorder.outcomes == {"too_large": 2}


@pytest.mark.parametrize(("size", "refused"), [(64, 0), (65, 1)])
async def test_half_sent_bodies_of_one_sender_shut_out_nobody(
    monkeypatch: pytest.MonkeyPatch, size: int, refused: int
) -> None:
    """The largest incomplete body of the sender with most bytes in flight gives way."""
    monkeypatch.setattr(bodies, "BODIES_IN_FLIGHT", 1)
    monkeypatch.setattr(bodies, "_LARGE_BODY", 64)
    recorder = PushRecorder(limits=Limits(max_body=200))
    half_sent = (190, 100, 80)
    arrived, answered = [asyncio.Event() for _ in half_sent], asyncio.Event()

    async def slow(at: int) -> AsyncIterator[bytes]:
        yield b"\0" * half_sent[at]
        arrived[at].set()
        await answered.wait()

    async with (
        recorder.client(token=None, address="10.0.0.66") as hostile,
        recorder.client(token=None, address="10.0.0.7") as honest,
    ):

        async def half(at: int) -> int:
            body = slow(at)
            answer = await hostile.post("/v1/metrics", content=body, headers=PROTOBUF)
            return answer.status_code

        waiting = [asyncio.create_task(half(at)) for at in range(len(half_sent))]
        for event in arrived:
            await event.wait()
        large = await honest.post("/v1/metrics", content=b"\0" * size, headers=PROTOBUF)
        answered.set()
        statuses = await asyncio.gather(*waiting)

    assert large.status_code == 400, "it was read to its end, and is no OTLP"
    assert statuses.count(503) == 1 + refused
    assert statuses[0] == 503


async def test_body_whose_time_is_over_can_be_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time-out has fired, but its task has not run: no error may reach another request."""
    monkeypatch.setattr(bodies, "_LARGE_BODY", 64)
    reader = bodies.BodyReader(Limits())

    async def wait_for_the_rest() -> None:
        async with arriving.deadline:
            reader._arriving.append(arriving)
            await asyncio.Event().wait()

    arriving = bodies._Arriving("hostile", asyncio.timeout(None), bytearray(100))
    waiting = asyncio.create_task(wait_for_the_rest())
    await asyncio.sleep(0)
    arriving.deadline.reschedule(0)
    asyncio.get_running_loop().call_soon(reader._make_room)
    await asyncio.gather(waiting, return_exceptions=True)
    assert arriving.is_cut


async def test_sender_that_is_cut_comes_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODIES_IN_FLIGHT", 0)
    monkeypatch.setattr(bodies, "_LARGE_BODY", 64)
    recorder = PushRecorder()
    refused = await post(recorder, b"\0" * 65, PROTOBUF)
    small = await post(recorder, b"\0" * 64, PROTOBUF)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert status_of(refused).code == 14
    assert small.status_code == 400
    assert recorder.outcomes == {"overloaded": 1, "malformed": 1}

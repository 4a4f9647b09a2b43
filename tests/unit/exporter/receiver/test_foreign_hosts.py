"""Without a token, no web page can push through a browser on the exporter's machine."""

import httpx
import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.listeners.tokens import Keyring, parse_tokens
from poolscope_exporter.receiver.endpoint import PATH, ReceiverCounts, create_receiver
from poolscope_exporter.receiver.senders import Senders
from support.exporter.otlp_messages import a_gauge, a_request

BODY = a_request(a_gauge("poolscope.m", 1)).SerializeToString()
PROTOBUF = {"Content-Type": "application/x-protobuf"}
SERVICE_NAMES = ["poolscope-exporter:4318", "poolscope.poolscope.svc:9737", "exporter:9737"]


class Receiver:
    """A receiver that records the services of the pushes that it accepts."""

    def __init__(self, token: str | None = None) -> None:
        self.pushed: list[str] = []
        self.counts = ReceiverCounts()
        senders = Senders(Keyring(parse_tokens(token)), self.counts.refused) if token else None
        self._app: FastAPI = create_receiver(self._accept, senders, self.counts)

    def _accept(self, push: Push) -> PushResult:
        self.pushed.append(push.instance.name)
        return PushResult(0, None)

    async def answer(
        self, headers: dict[str, str], method: str = "POST", content: bytes = BODY
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, PATH, content=content, headers=headers)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9737", "127.0.0.1", "localhost:4318", "LocalHost", "[::1]:9737", "127.8.9.1:1"],
)
async def test_sender_on_this_machine_needs_no_token(host: str) -> None:
    receiver = Receiver()
    assert (await receiver.answer(PROTOBUF | {"Host": host})).status_code == 200
    assert receiver.pushed == ["shop"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9737",
        "127.0.0.1.evil.example:9737",
        "localhost.evil.example",
        "evil.example:99999999",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "evil.example/127.0.0.1",
        "[::1].evil.example",
        "10.0.0.1:9737",
        "[",
        "",
        *SERVICE_NAMES,
    ],
)
async def test_rebound_name_of_a_web_page_is_refused_without_a_token(host: str) -> None:
    receiver = Receiver()
    answer = await receiver.answer(PROTOBUF | {"Host": host})

    status = Status.FromString(answer.content)
    assert (answer.status_code, status.code) == (403, 7)
    assert "set POOLSCOPE_ENDPOINT" in status.message
    assert receiver.pushed == []
    assert receiver.counts.requests["foreign_host"] == 1


@pytest.mark.parametrize("host", SERVICE_NAMES)
async def test_with_a_token_any_name_of_the_exporter_is_accepted(host: str) -> None:
    receiver = Receiver("t0k3n")
    shown = {"Host": host, "Authorization": "Bearer t0k3n"}
    assert (await receiver.answer(PROTOBUF | shown)).status_code == 200
    assert receiver.pushed == ["shop"]


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "text/plain;application/json", "multipart/form-data",
     "application/x-www-form-urlencoded", "text/plain, application/json"],
)  # fmt: skip
async def test_content_type_that_a_page_may_send_to_other_sites_is_refused(
    content_type: str | None,
) -> None:
    """A browser sends these without asking; for all other types, it asks first."""
    receiver = Receiver()
    headers = {"Host": "127.0.0.1:9737", "Origin": "http://evil.example"}
    typed = headers if content_type is None else headers | {"Content-Type": content_type}
    assert (await receiver.answer(typed)).status_code == 415
    assert receiver.pushed == []


async def test_browser_that_asks_for_a_page_of_another_site_gets_no_permission() -> None:
    asks = {
        "Host": "127.0.0.1:9737",
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = await Receiver().answer(asks, method="OPTIONS", content=b"")
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]

"""Post metrics to an OTLP endpoint over HTTP, and report the outcome."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path

import httpx
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from poolscope_exporter.listeners.token_file import TokenFile
from poolscope_exporter.version import __version__

PATH = "/v1/metrics"
TIMEOUT_S = 3.0
MAX_ANSWER = 64 * 1024
MAX_RETRY_AFTER_S = 30.0

_PROTOBUF = "application/x-protobuf"
_RETRYABLE = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""The statuses after which OTLP permits a retry; after all others, it forbids one."""


class Delivery(StrEnum):
    """The outcome of one request."""

    OK = "ok"
    PARTIAL = "partial"
    REJECTED = "rejected"
    BUSY = "busy"
    UNREACHABLE = "unreachable"


RETRYABLE = frozenset({Delivery.BUSY, Delivery.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """The endpoint's answer; `detail` is for the log, `retry_after_s` is the requested pause."""

    delivery: Delivery
    detail: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class UpstreamTarget:
    """The endpoint to forward to; the token file is read again when it changes."""

    url: str
    token_file: Path | None = field(default=None, repr=False)
    ca_file: Path | None = None


class Upstream:
    """One endpoint; `post` never raises, and takes at most its time-out."""

    def __init__(self, target: UpstreamTarget, timeout_s: float = TIMEOUT_S) -> None:
        self._url = target.url if target.url.endswith(PATH) else target.url.rstrip("/") + PATH
        self._token_file = TokenFile(target.token_file) if target.token_file else None
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            # Proxies and certificates from the environment are not meant for this endpoint.
            trust_env=False,
            timeout=timeout_s,
            verify=ssl.create_default_context(cafile=target.ca_file),
            headers={
                "Content-Type": _PROTOBUF,
                "Content-Encoding": "gzip",
                "Accept": _PROTOBUF,
                "User-Agent": f"poolscope-exporter/{__version__}",
            },
        )

    async def post(self, body: bytes) -> UpstreamAnswer:
        """Send one gzipped request."""
        try:
            # httpx limits only each step, so an answer that trickles would never end.
            async with asyncio.timeout(self._timeout_s):
                return await self._answer_to(body, await self._authorization())
        except TimeoutError:
            return UpstreamAnswer(
                Delivery.UNREACHABLE, f"it took longer than {self._timeout_s:g} s"
            )
        except httpx.HTTPError as exc:
            return UpstreamAnswer(Delivery.UNREACHABLE, str(exc) or type(exc).__name__)
        except ValueError as exc:
            return UpstreamAnswer(Delivery.UNREACHABLE, f"the token file {exc}")

    async def close_connections(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _answer_to(self, body: bytes, headers: Mapping[str, str]) -> UpstreamAnswer:
        request = self._client.stream("POST", self._url, content=body, headers=headers)
        async with request as response:
            return _answer(response, await _head(response))

    async def _authorization(self) -> Mapping[str, str]:
        if self._token_file is None:
            return {}
        first, *_ = await self._token_file.latest_tokens()
        return {"Authorization": f"Bearer {first.text}"}


async def _head(response: httpx.Response) -> bytes:
    """Return the first part of the answer's body, as far as it is needed."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            break
    return bytes(body)


def _answer(response: httpx.Response, body: bytes) -> UpstreamAnswer:
    status = response.status_code
    if status in _RETRYABLE:
        return UpstreamAnswer(Delivery.BUSY, f"it answered {status}", _retry_after_s(response))
    if not response.is_success:
        return UpstreamAnswer(Delivery.REJECTED, f"it answered {status}")
    if response.headers.get("content-type", "").startswith(_PROTOBUF) and _is_partial(body):
        return UpstreamAnswer(Delivery.PARTIAL, "it refused some of the points")
    return UpstreamAnswer(Delivery.OK)


def _is_partial(body: bytes) -> bool:
    answer = ExportMetricsServiceResponse()
    try:
        answer.ParseFromString(body)
    except DecodeError:
        return False
    return answer.partial_success.rejected_data_points > 0


def _retry_after_s(response: httpx.Response) -> float:
    retry_after = response.headers.get("retry-after", "")
    return min(float(retry_after), MAX_RETRY_AFTER_S) if retry_after.isdecimal() else 0.0

"""Post a push to an exporter, with one deadline and without retries, proxies or redirects."""

import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from math import isfinite
from pathlib import Path
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from poolscope.catalogue import FASTEST_PUSH_S, INTERVAL_HEADER
from poolscope.sending.deadline import ExchangeEnd, TimedSocket
from poolscope.sending.lookups import LOOKUPS
from poolscope.version import __version__

TIMEOUT_S = 2.0

_CONTENT_TYPE = "application/x-protobuf"
_MAX_ANSWER = 65_536
_OK = 200


class PushError(Exception):
    """A push that did not arrive; the message gives the reason, without secrets."""


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """The answer of an exporter that accepted a push.

    The allowed time between pushes under pressure is `interval_s`, in seconds. It is None for an
    older exporter, or a Collector, which does not name one. The number of data points that were
    not kept is `rejected`, with the `reason`.
    """

    interval_s: float | None
    rejected: int = 0
    reason: str = ""


class Transport:
    """A client that posts to one base URL, with `/v1/metrics` appended.

    It ignores the environment's proxies, which are for the application's traffic, not for an
    exporter on loopback. A redirect is an error: it would send the token to another server.
    """

    def __init__(self, endpoint: str, ca_file: Path | None = None) -> None:
        self.endpoint = endpoint
        parts = urlsplit(endpoint)
        self._host = parts.hostname or ""
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=ca_file)
        self._port = parts.port or (443 if self._tls else 80)
        self._authority = parts.netloc
        self._path = f"{parts.path.rstrip('/')}/v1/metrics"

    def send_body(self, body: bytes, token: str | None) -> PushAnswer:
        """Send one serialised request within 2 s; raise `PushError` unless it was accepted."""
        headers = {
            "Host": self._authority,
            "Content-Type": _CONTENT_TYPE,
            "User-Agent": f"poolscope/{__version__}",
            "Connection": "close",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            return self._exchange(body, headers)
        except (OSError, ValueError, HTTPException) as error:
            raise PushError(f"{self.endpoint}: {error or type(error).__name__}") from None

    def _exchange(self, body: bytes, headers: dict[str, str]) -> PushAnswer:
        deadline = ExchangeEnd(TIMEOUT_S)
        with ExitStack() as open_now:
            connected = self._connect(deadline, open_now)
            connection = HTTPConnection("")  # it never connects by itself
            connection.sock = TimedSocket(connected, deadline)
            connection.request("POST", self._path, body, headers)
            with connection.getresponse() as response:
                return self._read(response)

    def _connect(self, deadline: ExchangeEnd, open_now: ExitStack) -> socket.socket:
        """Connect to the first address of the host that answers, with a TLS handshake if needed."""
        failed: OSError = OSError("the host name has no address")
        for family, kind, proto, _, address in LOOKUPS.addresses_of(self._host, self._port):
            plain = open_now.enter_context(socket.socket(family, kind, proto))
            plain.settimeout(deadline.left_s())
            try:
                plain.connect(address)
            except OSError as error:
                failed = error
                continue
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return plain
            plain.settimeout(deadline.left_s())
            secure = self._tls.wrap_socket(plain, server_hostname=self._host)
            return open_now.enter_context(secure)
        raise failed

    def _read(self, response: HTTPResponse) -> PushAnswer:
        answer = response.read(_MAX_ANSWER)
        if response.status != _OK:
            raise PushError(f"{self.endpoint} answered {response.status}")
        kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip()
        if answer and kind != _CONTENT_TYPE:
            raise PushError(f"{self.endpoint} is no OTLP receiver: it answered with {kind!r:.80}")
        try:
            partial = ExportMetricsServiceResponse.FromString(answer).partial_success
        except DecodeError:
            raise PushError(f"{self.endpoint} sent an answer that is not OTLP") from None
        interval_s = _allowed_interval_s(response.headers.get(INTERVAL_HEADER))
        return PushAnswer(interval_s, partial.rejected_data_points, partial.error_message)


def _allowed_interval_s(text: str | None) -> float | None:
    """Return the interval that a header names; None if it is not a positive, finite number."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return max(FASTEST_PUSH_S, seconds) if isfinite(seconds) and seconds > 0 else None

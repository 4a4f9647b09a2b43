"""Post a push to an exporter: short time-out, no retries, no proxies, no foreign headers."""

import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from math import isfinite
from pathlib import Path

from poolscope.catalogue import FASTEST_PUSH_S, INTERVAL_HEADER
from poolscope.version import __version__

TIMEOUT_S = 2.0


class PushError(Exception):
    """A push did not arrive; the message says why, without secrets."""


class Transport:
    """POST to one base URL, `/v1/metrics` appended.

    The environment's proxies are for the application's traffic, not for a neighbour on loopback.
    """

    def __init__(self, endpoint: str, ca_file: Path | None = None) -> None:
        self.endpoint = endpoint
        self._url = f"{endpoint}/v1/metrics"
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if endpoint.startswith("https:"):
            context = ssl.create_default_context(cafile=ca_file)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def send_body(self, body: bytes, token: str | None) -> float | None:
        """Send one serialised request; raises `PushError` unless it was accepted.

        Return the seconds between pushes that the exporter allows a process under pressure, None
        where it names none: an older exporter, or a Collector.
        """
        headers = {
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"poolscope/{__version__}",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - settings accept http and https only
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                response.read(65_536)
                return _allowed_interval_s(response.headers.get(INTERVAL_HEADER))
        except urllib.error.HTTPError as error:
            error.close()
            raise PushError(f"{self.endpoint} answered {error.code}") from None
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise PushError(f"{self.endpoint}: {reason or type(error).__name__}") from None


def _allowed_interval_s(text: str | None) -> float | None:
    """Return the interval that a header names, None for what is no sensible number."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return max(FASTEST_PUSH_S, seconds) if isfinite(seconds) and seconds > 0 else None

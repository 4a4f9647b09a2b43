"""Recognise the addresses of managed poolers and proxies, which close unused connections.

Only documented host names are listed. A name that is not recognised proves nothing: a proxy may
have any name, so users must declare it.
"""

import re
from dataclasses import dataclass

_RDS = r"\.[a-z0-9-]+\.rds\.amazonaws\.com(\.cn)?"


@dataclass(frozen=True, slots=True)
class _Service:
    """The host names of one service's proxy; with `port` None, any port."""

    name: str
    host: re.Pattern[str]
    port: int | None = None


def _service(name: str, host: str, port: int | None = None) -> _Service:
    return _Service(name, re.compile(host), port)


_SERVICES = (
    _service("RDS Proxy", rf"[a-z0-9.-]+\.proxy-[a-z0-9]+{_RDS}"),
    _service("Aurora", rf"[a-z0-9-]+\.cluster-(ro-|custom-)?[a-z0-9]+{_RDS}"),
    _service("the Cloud SQL Auth Proxy", r"/cloudsql/.+"),
    _service("Supabase's pooler", r"[a-z0-9-]+\.pooler\.supabase\.com"),
    _service("Supabase's dedicated pooler", r"db\.[a-z0-9]+\.supabase\.co", 6543),
    _service("Neon's pooler", r"[a-z0-9-]+-pooler\.[a-z0-9.-]+\.neon\.tech"),
    _service("Azure's PgBouncer", r"[a-z0-9.-]+\.postgres\.database\.azure\.com", 6432),
    _service("DigitalOcean's connection pools", r"[a-z0-9.-]+\.db\.ondigitalocean\.com", 25061),
)


def recognise_proxy(address: str, port: int | None) -> str | None:
    """Return the service with a proxy at the address of a pool, or None if none is known."""
    host = address.lower().rstrip(".")
    found = (
        service.name
        for service in _SERVICES
        if service.port in (None, port) and service.host.fullmatch(host)
    )
    return next(found, None)

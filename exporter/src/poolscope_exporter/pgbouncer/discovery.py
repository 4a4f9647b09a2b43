"""Find the addresses behind a PgBouncer's host name; each address is a separate PgBouncer."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from poolscope_exporter.pgbouncer.console import PgBouncerConsole
from poolscope_exporter.polling.dsn import Dsn, at_address
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError

RESOLVE_DEADLINE_S = 5.0

MAX_ADDRESSES = 32
"""More addresses of one name are treated as a mistake: each costs a connection and series."""

Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]
"""Returns the addresses of a host, sorted and without duplicates; raises ServerUnavailableError."""


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """Query the system's resolver without a cache; return IPv6 only if there is no IPv4 address.

    Two addresses of different families are usually one PgBouncer, which would be polled twice.
    """
    try:
        async with asyncio.timeout(RESOLVE_DEADLINE_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except TimeoutError as exc:
        message = f"{host} was not resolved within {RESOLVE_DEADLINE_S:g} s"
        raise ServerUnavailableError(Reason.NAME_RESOLUTION, message) from exc
    except (OSError, UnicodeError) as exc:
        message = f"{host} was not resolved: {getattr(exc, 'strerror', None) or 'no host name'}"
        raise ServerUnavailableError(Reason.NAME_RESOLUTION, message) from exc
    v4 = {str(end[0]) for family, *_, end in found if family is socket.AF_INET}
    v6 = {str(end[0]) for family, *_, end in found if family is socket.AF_INET6}
    return tuple(sorted(v4 or v6)[:MAX_ADDRESSES])


def is_name(dsn: Dsn) -> bool:
    """Return whether the host must be resolved: not an address, a Unix socket or a `hostaddr`."""
    if dsn.host.startswith("/") or dsn.parameter("hostaddr"):
        return False
    try:
        ipaddress.ip_address(dsn.host.partition("%")[0])
    except ValueError:
        return True
    return False


def console_at(dsn: Dsn, address: str) -> PgBouncerConsole:
    """Return the console of one PgBouncer behind a name: `host:port/address` in series."""
    return PgBouncerConsole(at_address(dsn, address), f"{dsn}/{address}")


async def consoles_of(dsn: Dsn, look_up: Resolve = resolve) -> list[PgBouncerConsole]:
    """Return the consoles of a DSN; raise ServerUnavailableError if its name has no address."""
    if not is_name(dsn):
        return [PgBouncerConsole(dsn)]
    return [console_at(dsn, address) for address in await look_up(dsn.host, int(dsn.port))]

"""Compare network addresses in any spelling."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache


@lru_cache(maxsize=4096)
def canonical(address: str) -> str:
    """Return one canonical spelling of an address; names and socket paths stay unchanged."""
    name = address.strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        ip = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    spelling = str(mapped or ip)
    return "localhost" if spelling in {"127.0.0.1", "::1"} else spelling


def is_loopback(address: str) -> bool:
    """Return whether an address is a loopback address; of the names, only localhost is."""
    if address == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def is_on_this_machine(address: str) -> bool:
    """Return whether the address of a server is a loopback address or a Unix socket.

    A Unix socket is given by its folder; an abstract one begins with `@`.
    """
    return address.startswith(("/", "@")) or is_loopback(canonical(address))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a TCP connection."""

    address: str
    port: int


def has_address(addresses: Iterable[Endpoint], target: Endpoint) -> bool:
    """Return whether the target is one of the addresses, in any spelling."""
    return any(is_same_end(target, known) for known in addresses)


def is_same_end(one: Endpoint, other: Endpoint) -> bool:
    """Return whether both are the same end, in any spelling of the address."""
    # Port 0: the application did not report it, so the address alone identifies the server.
    if 0 not in (one.port, other.port) and one.port != other.port:
        return False
    return canonical(one.address) == canonical(other.address)

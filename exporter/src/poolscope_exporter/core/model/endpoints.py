"""Compare network addresses, however they are spelled."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4096)
def canonical(address: str) -> str:
    """Return one spelling for all spellings of an address; names and socket paths stay names."""
    name = address.strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        ip = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    spelling = str(mapped or ip)
    return "localhost" if spelling in {"127.0.0.1", "::1"} else spelling


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own; a name other than localhost is not."""
    if address == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)

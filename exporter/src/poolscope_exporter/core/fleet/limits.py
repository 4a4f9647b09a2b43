"""State how much the receiver takes from all senders together, and from each of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of memory and time; each refusal beyond them is counted and answered.

    `max_body` and `max_decompressed` are bytes; names in `_s` are seconds. An instance is one
    application process. `max_series` and `max_held_checkouts` are sums over all instances.
    """

    max_body: int = 4 * 1024 * 1024
    max_decompressed: int = 16 * 1024 * 1024
    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    max_connections: int = 2_000
    max_instances: int = 1_250
    max_pools_per_instance: int = 50
    max_series_per_pool: int = 400
    max_series: int = 200_000
    max_routes_per_pool: int = 200
    max_held_checkouts: int = 20_000

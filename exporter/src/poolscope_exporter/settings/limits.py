"""Declare the limits of the receiver as settings, each in the unit of its flag."""

from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.settings.declaration import option
from poolscope_exporter.settings.values import Seconds, WholeNumber

MIB: Final = 1024 * 1024

_HOLDS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """The limits of the receiver, in the units that users set."""

    max_body_mib: int = option(
        "--max-body",
        "MIB",
        "largest body of a push, as sent over the network",
        WholeNumber(1, 64),
        default=_HOLDS.max_body // MIB,
    )
    max_decompressed_mib: int = option(
        "--max-decompressed",
        "MIB",
        "largest body of a push after decompression",
        WholeNumber(1, 256),
        default=_HOLDS.max_decompressed // MIB,
    )
    header_timeout_s: float = option(
        "--header-timeout",
        "SECONDS",
        "time for the headers of a request to arrive",
        Seconds(1, 300),
        default=_HOLDS.header_timeout_s,
    )
    body_timeout_s: float = option(
        "--body-timeout",
        "SECONDS",
        "time for the body of a request to arrive",
        Seconds(1, 300),
        default=_HOLDS.body_timeout_s,
    )
    max_connections: int = option(
        "--max-connections",
        "NUMBER",
        "open connections on each listener",
        WholeNumber(1, 100_000),
        default=_HOLDS.max_connections,
    )
    max_instances: int = option(
        "--max-instances",
        "NUMBER",
        "application processes that are kept, including processes that ended recently",
        WholeNumber(1, 100_000),
        default=_HOLDS.max_instances,
    )
    max_pools_per_instance: int = option(
        "--max-pools-per-instance",
        "NUMBER",
        "pools of one process",
        WholeNumber(1, 1_000),
        default=_HOLDS.max_pools_per_instance,
    )
    max_series_per_pool: int = option(
        "--max-series-per-pool",
        "NUMBER",
        "series of one pool of one process",
        WholeNumber(1, 10_000),
        default=_HOLDS.max_series_per_pool,
    )
    max_series: int = option(
        "--max-series",
        "NUMBER",
        "series of all processes; a series with long text counts as several",
        WholeNumber(1, 10_000_000),
        default=_HOLDS.max_series,
    )
    max_routes_per_pool: int = option(
        "--max-routes-per-pool",
        "NUMBER",
        "routes counted separately per pool; further routes are summed as 'other'",
        WholeNumber(1, 10_000),
        default=_HOLDS.max_routes_per_pool,
    )
    max_held_checkouts: int = option(
        "--max-held-checkouts",
        "NUMBER",
        "held checkouts of all processes",
        WholeNumber(1, 1_000_000),
        default=_HOLDS.max_held_checkouts,
    )

    @property
    def limits(self) -> Limits:
        """Return the limits in the units of the receiver."""
        return Limits(
            max_body=self.max_body_mib * MIB,
            max_decompressed=self.max_decompressed_mib * MIB,
            header_timeout_s=self.header_timeout_s,
            body_timeout_s=self.body_timeout_s,
            max_connections=self.max_connections,
            max_instances=self.max_instances,
            max_pools_per_instance=self.max_pools_per_instance,
            max_series_per_pool=self.max_series_per_pool,
            max_series=self.max_series,
            max_routes_per_pool=self.max_routes_per_pool,
            max_held_checkouts=self.max_held_checkouts,
        )

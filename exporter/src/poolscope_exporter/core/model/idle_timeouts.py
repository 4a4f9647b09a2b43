"""The time after which a proxy closes a connection that the application does not use."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class IdleSource(StrEnum):
    """The source of a time-out.

    With `pgbouncer`, it is PgBouncer's setting. With `configured` or `nat`, it is a setting of
    poolscope for a proxy or a NAT that cannot be queried. With `recognised`, the address is that of
    a managed proxy without a declared time-out.
    """

    PGBOUNCER = "pgbouncer"
    CONFIGURED = "configured"
    NAT = "nat"
    RECOGNISED = "recognised"


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """The idle time-out of one proxy: 0 if it closes none, None if unknown.

    `name` is that of the PgBouncer or of the recognised service. It is empty for a configured
    time-out, which applies to every connection.
    """

    source: IdleSource
    seconds: float | None
    name: str = ""

    def __str__(self) -> str:
        if self.source is IdleSource.NAT:
            return f"the NAT drops connections that are unused for {self.seconds:g} s"
        who = f"PgBouncer {self.name}" if self.source is IdleSource.PGBOUNCER else "the proxy"
        return f"{who} closes connections that are unused for {self.seconds:g} s"

    @property
    def cure(self) -> str:
        """Return the action to take if the time-out is unknown."""
        if self.source is IdleSource.RECOGNISED:
            return (
                f"a proxy is likely, the address is one of {self.name}: declare its idle time-out"
                " with --proxy-idle-timeout (0 if nothing closes unused connections)"
            )
        return (
            "the idle time-out of a proxy in between is not known: see why the PgBouncer does not"
            " answer"
        )


def declared(proxy_s: float | None, nat_s: float | None) -> tuple[IdleTimeout, ...]:
    """Return the configured time-outs; None is not configured."""
    given = ((IdleSource.CONFIGURED, proxy_s), (IdleSource.NAT, nat_s))
    return tuple(IdleTimeout(source, seconds) for source, seconds in given if seconds is not None)


def tightest(timeouts: Iterable[IdleTimeout]) -> IdleTimeout | None:
    """Return the time-out that closes a connection first; None if none is known to close any."""
    found = [each for each in timeouts if each.seconds]
    return min(found, key=lambda each: each.seconds or 0.0, default=None)

"""Tell after how long a proxy closes a connection that the application does not use."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class IdleSource(StrEnum):
    """Who says so: the PgBouncer's own settings, or ours for a proxy that cannot be asked."""

    PGBOUNCER = "pgbouncer"
    CONFIGURED = "configured"


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """The idle time-out of one proxy: 0 where it closes none, None where it is not known.

    `name` is the bouncer's; empty for a configured time-out, which holds for every connection.
    """

    source: IdleSource
    seconds: float | None
    name: str = ""

    def __str__(self) -> str:
        who = f"PgBouncer {self.name}" if self.source is IdleSource.PGBOUNCER else "the proxy"
        return f"{who} closes connections that are unused for {self.seconds:g} s"


def tightest(timeouts: Iterable[IdleTimeout]) -> IdleTimeout | None:
    """Return the time-out that closes a connection first; None where none is known to close any."""
    found = [each for each in timeouts if each.seconds]
    return min(found, key=lambda each: each.seconds or 0.0, default=None)

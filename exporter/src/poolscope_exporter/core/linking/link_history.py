"""Remember which connections were once linked, and where those of a pool lead.

What is missing later is then lost, not unknown; a pool that holds nothing still has its place.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Checkout, Instance, Pool
from poolscope_exporter.core.model.endpoints import Endpoint

Connection = tuple[Instance, int | None, Endpoint | None]


@dataclass(frozen=True, slots=True)
class _Pin:
    """The session that a connection keeps; `is_broken`: its server is gone, and so is it."""

    server: str
    start_s: float
    is_broken: bool = False


class LinkHistory:
    """The sessions that connections were linked to, and where the last link of each pool led."""

    def __init__(self) -> None:
        self._pins: dict[Connection, _Pin] = {}
        self._last: dict[Pool, Link] = {}

    def record_link(self, checkout: Checkout, link: Link) -> None:
        """Note a link; the first session of a connection is the one it keeps."""
        self._last[checkout.pool] = link
        # Behind a PgBouncer, the next transaction of a connection may have another session.
        if link.level is not LinkLevel.PGBOUNCER and link.session.backend_start_s is not None:
            pin = _Pin(link.server, link.session.backend_start_s)
            self._pins.setdefault(_connection(checkout), pin)

    def first_session_start_s(self, checkout: Checkout) -> float | None:
        """Return the `backend_start_s` that the checkout's connection was first linked to."""
        pin = self._pins.get(_connection(checkout))
        return pin.start_s if pin else None

    def is_broken(self, checkout: Checkout) -> bool:
        """Return whether the checkout's connection went to a server that is another one now."""
        pin = self._pins.get(_connection(checkout))
        return pin is not None and pin.is_broken

    def break_links(self, server: str) -> None:
        """Note that another postmaster answers as `server`: no connection outlives its own."""
        for at, pin in self._pins.items():
            if pin.server == server:
                self._pins[at] = replace(pin, is_broken=True)

    def is_proven(self, pool: Pool) -> bool:
        """Return whether any connection of the pool was ever linked: its pids are real ones."""
        return pool in self._last

    def last_link(self, pool: Pool) -> Link | None:
        """Return the last link of any of the pool's connections."""
        return self._last.get(pool)

    def expire_links(self, held: Collection[Checkout], instances: Collection[Instance]) -> None:
        """Forget connections that nobody holds, and the pools of processes that are gone.

        A connection that is held again is linked anew, so pids that come round find no old pin.
        """
        alive = {_connection(checkout) for checkout in held}
        self._pins = {at: pin for at, pin in self._pins.items() if at in alive}
        known = set(instances)
        self._last = {pool: link for pool, link in self._last.items() if pool.instance in known}

    def drop_links(self, instance: Instance) -> None:
        """Forget one process."""
        self._pins = {at: pin for at, pin in self._pins.items() if at[0] != instance}
        self._last = {pool: link for pool, link in self._last.items() if pool.instance != instance}


def _connection(checkout: Checkout) -> Connection:
    return checkout.pool.instance, checkout.backend_pid, checkout.local

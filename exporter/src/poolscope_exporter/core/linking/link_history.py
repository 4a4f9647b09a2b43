"""Store which connections were once linked, and to which server a pool's connections lead.

A session that is missing later is then lost, not unknown. A pool without held connections still has
its server. An idle connection still has the line of its last listed checkout.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Checkout, Instance, Pool
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.sessions import Session

Connection = tuple[Instance, int | None, Endpoint | None]

MAX_SESSIONS: Final = 20_000
"""The most sessions with a known last checkout; beyond it, the one that was linked first goes."""


@dataclass(frozen=True, slots=True)
class _Pin:
    """The session that a connection keeps.

    With `is_broken`, its server and the session are gone.
    """

    server: str
    start_s: float
    is_broken: bool = False


class LinkHistory:
    """The sessions to which connections were linked, and the server of each pool's last link."""

    def __init__(self) -> None:
        self._pins: dict[Connection, _Pin] = {}
        self._last: dict[Pool, Link] = {}
        self._last_checkouts: dict[tuple[str, int, float], Checkout] = {}

    def record_link(self, checkout: Checkout, link: Link) -> None:
        """Record a link; a connection keeps its first session."""
        self._last[checkout.pool] = link
        # Behind a PgBouncer, the next transaction of a connection may have another session.
        if link.level is not LinkLevel.PGBOUNCER and link.session.backend_start_s is not None:
            pin = _Pin(link.server, link.session.backend_start_s)
            self._pins.setdefault(_connection(checkout), pin)
            self._last_checkouts[link.server, link.session.pid, pin.start_s] = checkout
            if len(self._last_checkouts) > MAX_SESSIONS:
                del self._last_checkouts[next(iter(self._last_checkouts))]

    def first_session_start_s(self, checkout: Checkout) -> float | None:
        """Return the `backend_start_s` to which the checkout's connection was first linked."""
        pin = self._pins.get(_connection(checkout))
        return pin.start_s if pin else None

    def is_broken(self, checkout: Checkout) -> bool:
        """Return whether the server of the checkout's connection was replaced since."""
        pin = self._pins.get(_connection(checkout))
        return pin is not None and pin.is_broken

    def break_links(self, server: str) -> None:
        """Record that another postmaster answers as `server`: no connection survives that."""
        for at, pin in self._pins.items():
            if pin.server == server:
                self._pins[at] = replace(pin, is_broken=True)

    def is_proven(self, pool: Pool) -> bool:
        """Return whether any connection of the pool was ever linked, so that its PIDs are real."""
        return pool in self._last

    def last_link(self, pool: Pool) -> Link | None:
        """Return the last link of any of the pool's connections."""
        return self._last.get(pool)

    def last_checkout(self, server: str, session: Session) -> Checkout | None:
        """Return the last checkout that was linked to a session, even if it ended.

        A checkout that is too short to be listed is never linked, so a later one may be unknown.
        """
        if session.backend_start_s is None:
            return None
        return self._last_checkouts.get((server, session.pid, session.backend_start_s))

    def expire_links(
        self,
        held: Collection[Checkout],
        live: Collection[Instance],
        silent: Collection[Instance] = (),
    ) -> None:
        """Drop connections that are not held, and the pools of processes that are gone.

        A connection that is held again is linked again, so a reused PID meets no old session. The
        checkouts of a `silent` process are unknown, because it may return soon. Its earlier links
        are kept, so that they do not look as if they never existed.
        """
        alive, unheard = {_connection(checkout) for checkout in held}, set(silent)
        self._pins = {at: pin for at, pin in self._pins.items() if at in alive or at[0] in unheard}
        known = {*live, *unheard}
        self._last = {pool: link for pool, link in self._last.items() if pool.instance in known}
        self._keep_last_checkouts(lambda instance: instance in known)

    def drop_links(self, instance: Instance) -> None:
        """Drop the links of one process."""
        self._pins = {at: pin for at, pin in self._pins.items() if at[0] != instance}
        self._last = {pool: link for pool, link in self._last.items() if pool.instance != instance}
        self._keep_last_checkouts(lambda each: each != instance)

    def _keep_last_checkouts(self, is_kept: Callable[[Instance], bool]) -> None:
        self._last_checkouts = {
            at: checkout
            for at, checkout in self._last_checkouts.items()
            if is_kept(checkout.pool.instance)
        }


def _connection(checkout: Checkout) -> Connection:
    return checkout.pool.instance, checkout.backend_pid, checkout.local

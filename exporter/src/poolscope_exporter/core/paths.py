"""Remember which connections were once linked: what is missing later is then lost, not unknown."""

from collections.abc import Collection

from poolscope_exporter.core.checkouts import Checkout, Instance, Pool
from poolscope_exporter.core.linking import Link, LinkLevel
from poolscope_exporter.core.sessions import Endpoint

Connection = tuple[Instance, int | None, Endpoint | None]


class Paths:
    """The sessions that connections were linked to, and the pools with a direct path."""

    def __init__(self) -> None:
        self._starts: dict[Connection, float] = {}
        self._proven: set[Pool] = set()

    def linked(self, checkout: Checkout, link: Link) -> None:
        """Note a link; the first session of a connection is the one it keeps."""
        self._proven.add(checkout.pool)
        # Behind a PgBouncer, the next transaction of a connection may have another session.
        if link.level is not LinkLevel.PGBOUNCER and link.session.backend_start_s is not None:
            self._starts.setdefault(_connection(checkout), link.session.backend_start_s)

    def pinned(self, checkout: Checkout) -> float | None:
        """Return the `backend_start_s` that the checkout's connection was first linked to."""
        return self._starts.get(_connection(checkout))

    def is_proven(self, pool: Pool) -> bool:
        """Return whether any connection of the pool was ever linked: its pids are real ones."""
        return pool in self._proven

    def forget(self, held: Collection[Checkout], instances: Collection[Instance]) -> None:
        """Forget connections that nobody holds, and the pools of processes that are gone.

        A connection that is held again is linked anew, so pids that come round find no old pin.
        """
        alive = {_connection(checkout) for checkout in held}
        self._starts = {at: start for at, start in self._starts.items() if at in alive}
        known = set(instances)
        self._proven = {pool for pool in self._proven if pool.instance in known}

    def forget_instance(self, instance: Instance) -> None:
        """Forget one process."""
        self._starts = {at: start for at, start in self._starts.items() if at[0] != instance}
        self._proven = {pool for pool in self._proven if pool.instance != instance}


def _connection(checkout: Checkout) -> Connection:
    return checkout.pool.instance, checkout.backend_pid, checkout.local

"""Keep the statistics of a pool on an object of the pool library that lives as long as the pool."""

from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from poolscope.adapters.common.inherited_slots import InheritedSlot
from poolscope.adapters.common.patching import take_off
from poolscope.adapters.common.weak_keys import living_keys
from poolscope.recording.callsite import Site
from poolscope.recording.drivers import ConnectionFacts
from poolscope.recording.pool import PoolStats, Slot
from poolscope.recording.registry import Registry


class KeptSlot(Slot):
    """A slot that records the end of the library's object, and the time to open the connection.

    `alive` returns None after that object was collected. The slot is `is_open` if it has a
    connection with an end that has not been counted, and `cancelled` if its last use was
    cancelled.
    """

    __slots__ = ("alive", "cancelled", "create_s", "is_open")

    def __init__(
        self, stats: PoolStats, kept: Any, gone: Callable[["KeptSlot"], None] | None = None
    ) -> None:
        super().__init__(stats)
        self.create_s = 0.0
        self.cancelled = self.is_open = False
        slots = stats.slots

        def forget(reference: ReferenceType[Any]) -> None:
            slot = slots.pop(reference, None)
            if isinstance(slot, KeptSlot) and gone is not None:
                gone(slot)

        self.alive: Callable[[], Any] = ref(kept, forget)
        slots[self.alive] = self

    def connection_opened(self, facts: ConnectionFacts) -> None:
        """Note a new connection to the server."""
        self.begin_session(facts)
        self.is_open = True

    def connection_found(self, facts: ConnectionFacts) -> None:
        """Note a connection that was open before poolscope attached: its age is unknown."""
        self.facts, self.is_open = facts, True

    def connection_closed(self) -> None:
        """Drop the connection."""
        self.forget_session()
        self.fresh = self.is_open = False


class InheritedKeptSlot(InheritedSlot, KeptSlot):
    """A kept slot of a connection that another process opened."""

    __slots__ = ()

    ordinary = KeptSlot


def kept_on(connection: Any) -> KeptSlot | None:
    """Return the slot that is kept on a library's connection, or None."""
    slot = getattr(connection, "_poolscope", None)
    return slot if isinstance(slot, KeptSlot) else None  # a mock has every attribute


class PoolAttachments:
    """The statistics of all pools of one library.

    `make` returns the statistics of a new pool, `site_of` the line that made it, and `adopt`
    attaches to its existing connections. The statistics are kept on an object of the pool, the
    anchor. It has a `__dict__` and allows weak references.
    """

    def __init__(
        self,
        registry: Registry,
        make: Callable[[Any], PoolStats],
        adopt: Callable[[Any, PoolStats], None],
        site_of: Callable[[Any], Site],
    ) -> None:
        self._registry = registry
        self._make = make
        self._site_of = site_of
        self._adopt = adopt
        self._known: WeakKeyDictionary[Any, PoolStats | None] = WeakKeyDictionary()

    def attach_pool_of(self, anchor: Any, pool: Any) -> PoolStats | None:
        """Attach to a pool at its first use in this process; None if it cannot be watched."""
        stats = anchor._poolscope = self._stats_of(anchor, pool)
        self._registry.on_activity()
        return stats

    def _stats_of(self, anchor: Any, pool: Any) -> PoolStats | None:
        if anchor in self._known:
            return self._known[anchor]
        watched = self._registry.watch(anchor, self._make(pool), self._site_of(pool))
        # setdefault is atomic: if two threads come here at once, only one attaches.
        stats = self._known.setdefault(anchor, watched)
        if stats is not watched:
            self._registry.drop_twin(watched)
        elif stats is not None:
            self._adopt(pool, stats)
            stats.reader.configuration()  # some pools can be read only now, and may end soon
        return stats

    @property
    def anchors(self) -> list[Any]:
        """Return the anchors of the pools to which poolscope is attached."""
        return living_keys(self._known)

    def detach_pools(self) -> None:
        """Attach again at the next use: in a forked child, that starts the child's pusher."""
        for anchor in self.anchors:
            take_off(anchor, "_poolscope")

"""Count the use of connections that a fork copied into this process.

Parent and child then use one stream of bytes, so each may get the other's results.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from poolscope.recording.drivers import ConnectionFacts
from poolscope.recording.pool import CheckoutTuple, Slot

_OUT: Any = vars(Slot)["out"]
"""The descriptor of `Slot.out`, which the property with the same name below uses."""


class InheritedSlot(Slot):
    """The slot of a connection that another process opened.

    In the forked child, a slot gets this class. It gets its ordinary class back when its
    connection is closed. So hooks set `out` as usual, and a process without inherited connections
    has no extra cost. In `last_out` is the last checkout of the connection in this process; when
    the connection is closed, it moves to `closed_inherited` of the statistics.
    """

    __slots__ = ()

    ordinary: ClassVar[type[Slot]] = Slot
    """The ordinary class of the slot, before the fork and after the close."""

    @property
    def out(self) -> CheckoutTuple | None:
        """Return the open checkout of the connection, or None."""
        out: CheckoutTuple | None = _OUT.__get__(self)
        return out

    @out.setter
    def out(self, out: CheckoutTuple | None) -> None:
        _OUT.__set__(self, out)
        if out is None:
            return
        # A checkout that is noted again with another owner is still the same checkout.
        if self.last_out is None or self.last_out[0] != out[0]:
            self.stats.inherited += 1
        self.last_out = out

    def begin_session(self, facts: ConnectionFacts) -> None:
        """Note a connection that this process opens."""
        self._become_ordinary()
        self.begin_session(facts)

    def forget_session(self) -> None:
        """Drop the inherited connection."""
        self._become_ordinary()
        self.forget_session()

    def _become_ordinary(self) -> None:
        if self.last_out is not None:
            self.stats.closed_inherited.append((self.facts, self.last_out))
        self.last_out = None
        self.__class__ = self.ordinary  # type: ignore[assignment]  # the layout is the same


def mark_inherited(slots: Iterable[Slot]) -> None:
    """Mark the slots that have a connection to a server, in a forked child.

    A connection without a backend PID may have no socket (SQLite in memory): its copy is harmless.
    """
    every_kind: list[type[InheritedSlot]] = [InheritedSlot, *InheritedSlot.__subclasses__()]
    kinds = {kind.ordinary: kind for kind in every_kind}
    for slot in slots:
        slot.last_out = None
        kind = kinds.get(type(slot))
        if kind is not None and slot.facts.backend_pid is not None:
            slot.__class__ = kind

"""Look at the owners of all connections that are out, and at the callers that wait for one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final, NamedTuple

from poolscope.recording.callsite import Site
from poolscope.recording.leaks import read_frames
from poolscope.recording.pool import OpenCheckout, PoolIdentity
from poolscope.recording.registry import Registry
from poolscope.recording.requests import Request
from poolscope.recording.tasks import Owner
from poolscope.recording.waiters import Waiter
from poolscope.watching.await_chain import Spot
from poolscope.watching.code_names import CodeNames
from poolscope.watching.owner_stack import LoopThread, OwnerStack, StackReader
from poolscope.watching.positions import Position, Positions

MAX_HOLDERS: Final = 500
"""Most checkouts of one look, the oldest; a push lists as many."""

MAX_WAITERS: Final = 100
"""Most waiting callers of one look, the oldest; a push lists as many."""

AT_A_TIME: Final = 50
"""Owners that are looked at before another thread may run: about half a millisecond."""

ReadLoops = Callable[[], Mapping[int, LoopThread]]
"""Returns the threads of the running event loops, by the id of the loop."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The position of one owner, and the last `looks` in a row that found it there.

    The first of these looks was at `since_s`, by `clock.monotonic`.
    """

    position: Position
    since_s: float
    looks: int = 1


class OpenUse(NamedTuple):
    """One connection that is out, with its pool."""

    identity: PoolIdentity
    checkout: OpenCheckout


_Asked = tuple[int, Owner, Request | None, Site]
"""The key of an owner, and the data that leads to its stack."""


class HolderLooks:
    """The latest sightings of holders by checkout id, and of waiters by their id.

    One thread looks, others read. No frame of the application is kept after a look.
    """

    def __init__(self, registry: Registry, read_loops: ReadLoops) -> None:
        self._registry = registry
        self._read_loops = read_loops
        self._names = CodeNames()
        self._positions = Positions(self._names)
        self._holders: dict[int, Sighting] = {}
        self._waiters: dict[int, Sighting] = {}

    def holder_sighting(self, checkout_id: int) -> Sighting | None:
        """Return where the owner of a checkout was at the last look; None if unknown."""
        return self._holders.get(checkout_id)

    def waiter_sighting(self, waiter_id: int) -> Sighting | None:
        """Return where a waiting caller was at the last look; None if unknown."""
        return self._waiters.get(waiter_id)

    def look_at_owners(self, now_s: float) -> list[OpenUse]:
        """Look at all owners once; return every connection that is out, the oldest first."""
        uses = list(self._open_uses())
        uses.sort(key=lambda use: use.checkout.taken_at_s)
        waiters = self._oldest_waiters()
        held = [
            (c.id, c.owner, c.request, c.site) for c in (use.checkout for use in uses[:MAX_HOLDERS])
        ]
        waiting = [(key, w.owner, w.request, w.site) for key, w in waiters]
        self._holders = self._seen(held, self._holders, now_s)
        self._waiters = self._seen(waiting, self._waiters, now_s) if waiting else {}
        return uses

    def owner_lines(self, checkout: OpenCheckout) -> list[str]:
        """Return the present stack of an owner as `file:line in function`, the innermost first.

        Empty if it cannot be read.
        """
        loops = self._read_loops()

        def spots(frames: dict[int, FrameType]) -> list[Spot]:
            reader = StackReader(frames, loops, self._names)
            stack = reader.owner_stack(checkout.owner, checkout.request, checkout.site)
            return [] if stack is None else stack.spots

        places = [Site(*spot).place for spot in reversed(read_frames(spots))]
        return [f"{place[0]}:{place[1]} in {place[2]}" for place in places if place is not None]

    def _open_uses(self) -> Iterator[OpenUse]:
        for identity, pool in self._registry.named_pools():
            for checkout in pool.stats.open_checkouts():
                yield OpenUse(identity, checkout)

    def _oldest_waiters(self) -> list[tuple[int, Waiter]]:
        pools = list(self._registry.pools)
        waiters = [pair for pool in pools for pair in dict(pool.stats.waiting).items()]
        waiters.sort(key=lambda pair: pair[1].since_s)
        return waiters[:MAX_WAITERS]

    def _seen(
        self, asked: Sequence[_Asked], before: Mapping[int, Sighting], now_s: float
    ) -> dict[int, Sighting]:
        for _, _, _, site in asked:
            if site.code is not None:
                self._names.add_site(site.code.co_filename)
        found: dict[int, Sighting] = {}
        for begin in range(0, len(asked), AT_A_TIME):
            for key, position in self._look(asked[begin : begin + AT_A_TIME]):
                found[key] = _sighting(before.get(key), position, now_s)
        return found

    def _look(self, asked: Sequence[_Asked]) -> list[tuple[int, Position]]:
        loops = self._read_loops()

        def stacks(frames: dict[int, FrameType]) -> list[tuple[int, OwnerStack]]:
            reader = StackReader(frames, loops, self._names)
            asked_stacks = ((each[0], self._stack(reader, each)) for each in asked)
            read = [(key, stack) for key, stack in asked_stacks if stack is not None]
            idents = {stack.ident for _, stack in read if stack.ident is not None}
            continued = reader.continued_threads(idents)
            return [(key, stack) for key, stack in read if stack.ident not in continued]

        found = [(key, self._position(stack)) for key, stack in read_frames(stacks)]
        return [(key, position) for key, position in found if position is not None]

    def _stack(self, reader: StackReader, asked: _Asked) -> OwnerStack | None:
        _, owner, request, site = asked
        try:
            return reader.owner_stack(owner, request, site)
        except Exception as error:  # noqa: BLE001 - any library may be on the stack, in any state
            self._registry.contain(error)
            return None

    def _position(self, stack: OwnerStack) -> Position | None:
        try:
            return self._positions.find_position(stack)
        except Exception as error:  # noqa: BLE001 - names of any library are searched
            self._registry.contain(error)
            return None


def _sighting(before: Sighting | None, position: Position, now_s: float) -> Sighting:
    if before is None or before.position is not position:
        return Sighting(position, now_s)
    return Sighting(position, before.since_s, before.looks + 1)

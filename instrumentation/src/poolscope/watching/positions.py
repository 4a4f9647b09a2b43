"""Find the line of the application at which an owner is, and the call that it waits in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poolscope.catalogue import Doing
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.watching.await_chain import Spot
from poolscope.watching.code_names import CodeNames, is_database, is_entering, is_glue
from poolscope.watching.owner_stack import OwnerStack

_MAX_POSITIONS: Final = 4096
_RESPONSES: Final = "/starlette/responses.py"
_CONTINUES: Final = "starlette.middleware.base."
"""A middleware that waits here runs the rest of the request in a task that it does not name."""


@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """A place in the application, and the library's function that was called there.

    The `call` is None if the application computes itself, or if it is unknown. The site is
    `UNKNOWN_SITE` if no line of the application is on the stack. The activity of the owner is
    `doing`: a member of `Doing`, or the name of the call.
    """

    site: Site
    call: str | None
    doing: str


class Positions:
    """All positions that were found; equal ones are the same object."""

    def __init__(self, names: CodeNames) -> None:
        self._names = names
        self._known: dict[tuple[Spot | None, str | None], Position] = {}

    def find_position(self, stack: OwnerStack) -> Position | None:
        """Return the innermost line of the application, and the outermost call inside it.

        None if neither is known.
        """
        spots = stack.spots
        index = self._innermost(spots)
        if index is None:
            call = self._call_without_line(spots)
            return None if call is None else self._position(None, call)
        call = self._outermost_call(spots[index + 1 :]) or stack.waits_in
        if call is not None and call.startswith(_CONTINUES):
            return None
        return self._position(spots[index], call)

    def _innermost(self, spots: Sequence[Spot]) -> int | None:
        for is_own in (self._names.is_application, self._names.may_be_application):
            for index in range(len(spots) - 1, -1, -1):
                if is_own(spots[index][0].co_filename):
                    return index
        return None

    def _outermost_call(self, spots: Sequence[Spot]) -> str | None:
        names = (self._names.name_of(code) for code, _ in spots)
        calls = (name for name in names if not is_glue(name))
        outermost = next(calls, None)
        if outermost is None or not is_entering(outermost):
            return outermost
        package = outermost.partition(".")[0]
        inner = (name for name in calls if not is_entering(name))
        return next((each for each in inner if each.partition(".")[0] == package), outermost)

    def _call_without_line(self, spots: Sequence[Spot]) -> str | None:
        """Return what an owner without a line of the application certainly does.

        A body of a streaming response runs in another task; while SQLAlchemy computes in a
        greenlet, the outer stack cannot be read.
        """
        for code, _ in spots:
            if code.co_filename.endswith(_RESPONSES):
                return self._names.name_of(code)
        names = (self._names.name_of(code) for code, _ in reversed(spots))
        return next((name.partition(".")[0] for name in names if is_database(name)), None)

    def _position(self, spot: Spot | None, call: str | None) -> Position:
        known = self._known.get((spot, call))
        if known is None:
            if len(self._known) >= _MAX_POSITIONS:
                self._known.clear()
            site = UNKNOWN_SITE if spot is None else Site(*spot)
            known = self._known[spot, call] = Position(site, call, _doing(call))
        return known


def _doing(call: str | None) -> str:
    if call is None:
        return Doing.APPLICATION
    return Doing.DATABASE if is_database(call) else call

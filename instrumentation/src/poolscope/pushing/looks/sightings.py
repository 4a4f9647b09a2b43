"""Describe where holders and waiters are now, for the exporter."""

from collections.abc import Callable

from poolscope import catalogue
from poolscope.pushing.samples import AttributeValue
from poolscope.watching.holder_looks import Sighting

FindSighting = Callable[[int], Sighting | None]
"""Returns the last sighting of a holder by its checkout id, or of a waiter by its id."""


def unseen(_: int) -> Sighting | None:
    """Return None: nobody looks at owners."""
    return None


def now_attributes(sighting: Sighting | None, now_s: float) -> dict[str, AttributeValue]:
    """Return the attributes of the place where an owner is now; none if it is unknown."""
    if sighting is None:
        return {}
    position = sighting.position
    found: dict[str, AttributeValue] = {
        catalogue.NOW_LOOKS: sighting.looks,
        catalogue.NOW_AGE: max(0.0, now_s - sighting.since_s),
    }
    if position.site.place is not None:
        file, line, function = position.site.place
        found[catalogue.NOW_FILE_PATH] = file
        found[catalogue.NOW_LINE_NUMBER] = line
        found[catalogue.NOW_FUNCTION_NAME] = function
    if position.call is not None:
        found[catalogue.NOW_CALL] = position.call
    return found


def now_sentence(sighting: Sighting | None, now_s: float) -> str:
    """Return where an owner is now, for a log line; empty if it is unknown."""
    if sighting is None:
        return ""
    position, place = sighting.position, sighting.position.site.place
    does = "runs" if position.call is None else f"waits in {position.call}"
    line = f" at {place[0]}:{place[1]} in {place[2]}" if place else ""
    return f"now {does}{line}, for {max(0.0, now_s - sighting.since_s):.1f} s"

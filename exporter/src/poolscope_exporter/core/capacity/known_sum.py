"""Add up numbers, some of which may be unknown."""

from collections.abc import Iterable


def known_sum(values: Iterable[int | None]) -> int | None:
    """Return the sum, or None if any value is unknown."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None

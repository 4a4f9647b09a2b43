"""Read a dictionary of weak keys while other threads, or a collection, change it."""

from typing import Any
from weakref import WeakKeyDictionary


def living_keys(known: WeakKeyDictionary[Any, Any]) -> list[Any]:
    """Return the keys that are still alive.

    Do not iterate over the dictionary: its iteration is Python code, in which another thread may
    add a key, and then it raises.
    """
    return [key for reference in known.keyrefs() if (key := reference()) is not None]

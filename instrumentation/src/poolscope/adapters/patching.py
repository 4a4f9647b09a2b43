"""Replace methods of a library's classes by measured ones, and put the originals back."""

from collections.abc import Callable, Iterable
from typing import Any

Undo = Callable[[], None]


def replace(
    owner: Any,
    name: str,
    measured: Callable[[Any], Any],
    contain: Callable[[Exception], None],
) -> Undo:
    """Put `measured(original)` in the place of `owner.name`, and return what restores it.

    Where a future version has no such name the signal is lost, said once through `contain`, and
    everything else works on.
    """
    original = vars(owner).get(name)
    if original is None:
        contain(AttributeError(f"{owner.__module__}.{owner.__name__} has no {name}"))
        return _nothing
    setattr(owner, name, measured(original))

    def restore() -> None:
        setattr(owner, name, original)

    return restore


def in_order(steps: Iterable[Undo]) -> Undo:
    """Return one step that runs all of them."""
    remembered = list(steps)

    def run() -> None:
        for step in remembered:
            step()

    return run


def _nothing() -> None:
    """Restore nothing: nothing was replaced."""

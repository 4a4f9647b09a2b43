"""Replace methods of a library's classes by measured ones, and put the originals back.

What we keep on a library's objects is never read by their `__dict__`: CPython makes that when
somebody first asks for it, and from then on the library's own attributes of that object are looked
up in it, which is slower (measured on 3.11).
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from types import CodeType
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


def uses_only(
    function: Any, names: tuple[str, ...], constants: frozenset[str] = frozenset()
) -> bool:
    """Return whether a function uses just these names, in this order, and these constants.

    Then it does what we know that it does, and we can do that in its place, without its frame.
    """
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or code.co_freevars:
        return False
    known = {*constants, function.__doc__, None}
    return code.co_names == names and known.issuperset(code.co_consts)


def in_order(steps: Iterable[Undo]) -> Undo:
    """Return one step that runs all of them."""
    remembered = list(steps)

    def run() -> None:
        for step in remembered:
            step()

    return run


def take_off(target: Any, *names: str) -> None:
    """Take attributes that we have put on an object of a library away, if they are there."""
    for name in names:
        with suppress(AttributeError):
            delattr(target, name)


def _nothing() -> None:
    """Restore nothing: nothing was replaced."""

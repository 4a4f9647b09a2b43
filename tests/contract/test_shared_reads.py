"""What hooks write without a lock is read in one step, which no collection can come between."""

import ast
import gc
import sys
from collections.abc import Iterator
from weakref import ref

import pytest

from support.source.modules import Module, below, python_files

INSTRUMENTATION = below(python_files(), ("instrumentation/src",))
MORE_THAN_PYTHON_REUSES = 500


def copies(module: Module) -> Iterator[str]:
    """Yield where a module calls a method `copy`, by path and line."""
    for node in ast.walk(module.tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr == "copy":
            yield f"{module.path}:{called.lineno}"


def test_nothing_is_read_by_copy() -> None:
    found = [place for module in INSTRUMENTATION for place in copies(module)]
    assert found == [], "use list(…) or dict(…): see the tests below"


class Cycle:
    """What only a collection can take away."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def shrinking() -> Iterator[dict[object, int]]:
    """Return a dictionary that the next allocation of an object empties, by a collection."""
    gc.disable()
    shared: dict[object, int] = {}
    for number in range(20):
        shared[ref(Cycle(), lambda reference: shared.pop(reference, None))] = number
    in_use = [{number: number} for number in range(MORE_THAN_PYTHON_REUSES)]
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield shared
    gc.set_threshold(*before)
    gc.enable()
    del in_use


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="collects between instructions only")
def test_a_copy_that_sets_off_a_collection_contradicts_itself(
    shrinking: dict[object, int],
) -> None:
    gc.enable()
    copied = shrinking.copy()
    gc.disable()
    with pytest.raises(RuntimeError, match="changed during iteration"):
        list(copied.values())


def test_a_list_of_what_a_collection_changes_is_whole(shrinking: dict[object, int]) -> None:
    gc.enable()
    values = list(shrinking.values())
    gc.disable()
    assert (values, shrinking) == ([], {})


def test_a_dictionary_of_what_a_collection_changes_is_whole(shrinking: dict[object, int]) -> None:
    gc.enable()
    copied = dict(shrinking)
    gc.disable()
    assert (list(copied.values()), shrinking) == ([], {})

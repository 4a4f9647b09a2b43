"""The garbage collector of the tests looks at what a test made, not at what was loaded before."""

import gc
import weakref

from support.processes.garbage import set_aside_what_is_left


def test_what_was_loaded_before_the_tests_is_set_aside() -> None:
    made = [object]
    looked_at = gc.get_objects()

    assert any(each is made for each in looked_at)
    assert not any(each is gc.__dict__ for each in looked_at)


def test_what_a_file_leaves_behind_is_set_aside_and_its_garbage_collected() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    left, garbage = [object], weakref.ref(Cycle())
    set_aside_what_is_left()

    assert garbage() is None
    assert not any(each is left for each in gc.get_objects())

"""The garbage collector of the tests looks at what a test made, not at what was loaded before."""

import gc


def test_what_was_loaded_before_the_tests_is_set_aside() -> None:
    looked_at = len(gc.get_objects())

    assert gc.get_freeze_count() > looked_at

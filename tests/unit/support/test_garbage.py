"""The garbage collector of the tests looks at what a test made, not at what was loaded before."""

import gc


def test_what_was_loaded_before_the_tests_is_set_aside() -> None:
    made = [object]
    looked_at = gc.get_objects()

    assert any(each is made for each in looked_at)
    assert not any(each is gc.__dict__ for each in looked_at)

"""What the tests of one process leave to Python's garbage collector."""

import gc


def set_aside_what_is_loaded() -> None:
    """Keep the collector from looking at what is loaded by now: no test turns that into garbage.

    Many tests collect garbage, and each collection would look at every module and every test.
    """
    gc.unfreeze()
    set_aside_what_is_left()


def set_aside_what_is_left() -> None:
    """Collect the garbage of the tests so far, and keep the collector from looking at the rest.

    What a test file leaves behind stays to the end of the process: a cache, a log, a report. After
    thousands of tests, a collection would look at little else.
    """
    gc.collect()
    gc.freeze()

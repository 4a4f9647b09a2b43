"""What the tests of one process leave to Python's garbage collector."""

import gc


def set_aside_what_is_loaded() -> None:
    """Keep the collector from looking at what is loaded by now: no test turns that into garbage.

    Many tests collect garbage, and each collection would look at every module and every test.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()

"""A process that does one kind of work, bare or with one variant on, and times it when told to.

Its arguments are a case, a variant and a DSN. It prints `ready`, or why the variant cannot be
measured here; then, for each line that it reads, the microseconds of one checkout and return.
"""

import gc
import logging
import sys
from statistics import median
from threading import Event, Thread

from benchmarks.cases import CASES, Case
from benchmarks.variants import ONE_THREAD, VARIANTS
from poolscope.recording.requests import CURRENT, Request

READY = "ready"
WARM_UP = 300
"""Times that a case is run first: the interpreter specialises code that runs often."""

REFRESH, PARTS = 3, 10
"""Of each block: what is run untimed, since other processes ran meanwhile, and what is timed."""

LARGE_BYTES = 16 << 20


def main() -> None:
    case_name, variant_name, dsn = sys.argv[1:]
    # The C library asks the system for memory at each receive until something large was freed once,
    # and takes no locks until there is a second thread: neither is what we want to find out.
    bytearray(LARGE_BYTES)
    variant = VARIANTS[variant_name]
    if variant is not ONE_THREAD:
        Thread(target=Event().wait, daemon=True).start()
    logging.getLogger("poolscope").disabled = True  # it cannot push
    request = Request()
    request.known_route = "/orders/{order_id}"
    CURRENT.set(request)
    with CASES[case_name](dsn) as case:
        refusal = variant.refuses(case)
        if refusal is not None:
            _say(refusal)
            return
        variant.start(case)
        case.time_s(WARM_UP * case.times)
        gc.collect()
        gc.freeze()  # what is loaded by now is not what a collection should look at
        _say(READY)
        for _ in sys.stdin:
            _say(repr(_block_us(case)))
        variant.stop()


def _block_us(case: Case) -> float:
    for _ in range(REFRESH):
        case.time_s(case.times)
    return median(case.time_s(case.times) for _ in range(PARTS)) / case.times * 1e6


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

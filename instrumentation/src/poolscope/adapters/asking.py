"""Credit a checkout to the task that asked for it, where another task waited in its place.

`asyncio.wait_for` (until Python 3.11) and `gather` run what they are given in a task that ends at
once and has no line of the application on its stack. Taken for the owner, it would be evidence of
a leak against a healthy checkout.
"""

import asyncio
import threading
from asyncio import current_task
from collections.abc import Callable
from types import CodeType
from typing import Any
from weakref import ReferenceType, ref

from poolscope.callsite import UNKNOWN_SITE, Site, is_library
from poolscope.pool import Slot

Owner = ReferenceType[asyncio.Task[Any]] | int

Asked = tuple[CodeType, int, Owner]
"""Who asked: the code and the instruction that did, and the task or thread that ran it.

No frame: it would keep its locals. A plain tuple, because it is made for every checkout.
"""


def make_owner_reader() -> Callable[[], Owner]:
    """Return what finds the task that runs now, or outside of any the thread; it never raises."""
    running_loop = asyncio._get_running_loop  # the public one raises, which costs
    task_of, weak, thread_ident = current_task, ref, threading.get_ident

    def running_owner() -> Owner:
        loop = running_loop()
        task = task_of(loop) if loop is not None else None
        return thread_ident() if task is None else weak(task)

    return running_owner


def credit(slot: Slot, asked: Asked) -> None:
    """Make who asked the owner of the checkout in `slot`, where another task waited for it."""
    out = slot.out
    if out is None or out[4] == asked[2]:
        return
    # The stack of the other task has no line of the application but the one that runs the loop.
    code, lasti, owner = asked
    site = UNKNOWN_SITE if is_library(code.co_filename) else Site(code, lasti)
    slot.out = (out[0], out[1], site, out[3], owner, out[5], out[6])

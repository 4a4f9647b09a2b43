"""The situation in which the last reference to a connection goes without a return."""

import gc

from conformance.case import Case
from conformance.column import Collection


async def collected(case: Case) -> None:
    how = case.column.collection
    await leak(case)
    gc.collect()
    assert len(case.look_for_leaks()) == (how is not Collection.NEVER)
    await check(case, how)
    await case.warm_up()
    await check(case, how)


async def check(case: Case, how: Collection) -> None:
    """Hold the numbers against what the library makes of the leaked connection."""
    if how is Collection.LOSES_PLACE:
        case.outside = -1  # a place is used, and there is no connection for it
    await case.check(out=how is Collection.NEVER, used=how is not Collection.HEALS)


async def leak(case: Case) -> None:
    handle = await case.take()
    await case.use(handle)

"""Situations of ordinary use, and of full pools."""

import pytest

from conformance.case import Case
from poolscope import catalogue
from support.applications.apps import instrumented


async def returned(case: Case) -> None:
    handle = await case.take()
    await case.use(handle)
    await case.check(out=1)
    await case.give_back(handle)
    await case.check(out=0)


async def exception(case: Case) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what this is about
        async with case.pool.block() as handle:
            case.taken += 1
            await case.use(handle)
            raise ZeroDivisionError
    await case.check(out=0)


async def timeout(case: Case) -> None:
    handles = await case.fill()
    with pytest.raises(case.pool.timed_out):
        await case.take(timeout_s=0.05)
    await case.check(out=case.limit)
    assert case.readings.value(catalogue.TIMEOUTS) == 1
    # psycopg_pool's callers queue for each new connection too.
    assert (case.readings.value(catalogue.QUEUE_TIME) or 0) >= 1
    await case.give_back(*handles)
    await case.check(out=0)


async def recycle(case: Case) -> None:
    for _ in range(3):
        await case.warm_up()
        for _ in range(20):  # twice the age, so that no clock's grain matters
            await case.pause()
    await case.warm_up()
    await case.check(out=0)
    assert (case.readings.value(catalogue.OPENED) or 0) > 1


async def soft_invalidate(case: Case) -> None:
    handle = await case.take()
    await case.pool.invalidate_softly(handle)
    await case.check(out=1)
    await case.give_back(handle)
    await case.warm_up()
    await case.check(out=0)
    assert case.readings.value(catalogue.OPENED) == 2


async def hard_invalidate(case: Case) -> None:
    handle = await case.take()
    await case.pool.invalidate(handle)
    await case.give_back(handle)
    await case.check(out=0)
    await case.warm_up()
    await case.check(out=0)


async def detach(case: Case) -> None:
    handle = await case.take()
    case.outside = 1
    await case.pool.detach(handle)
    await case.check(out=0)
    case.outside = 0
    await case.give_back(handle)
    await case.check(out=0)


async def dispose(case: Case) -> None:
    handle = await case.take()
    if not case.column.has_one:
        await case.warm_up()
    await case.pool.dispose()
    await case.give_back(handle)
    del handle
    # Nobody closes what comes back to the old pool; of asyncpg, not even the collector does.
    case.outside = int(case.column.is_async)
    await case.check(out=0)
    case.server.cut()


async def overflow(case: Case) -> None:
    handles = await case.fill()
    await case.check(out=case.limit)
    await case.give_back(*handles)
    await case.check(out=0)
    assert case.readings.idle == case.options.keep


async def nested(case: Case) -> None:
    outer, inner = await case.take(), await case.take()
    await case.check(out=2)
    await case.give_back(inner, outer)
    await case.check(out=0)


async def nested_in_thread(case: Case) -> None:
    outer, inner = await case.take(), await case.take()
    case.taken -= 1  # the thread has it already
    await case.check(out=1)
    await case.give_back(inner, outer)
    await case.check(out=0)


async def shared(case: Case) -> None:
    first, second = await case.take(), await case.take()
    await case.check(out=1)
    await case.give_back(first, second)
    await case.check(out=0)


async def not_pooled(case: Case) -> None:
    for _ in range(3):
        await case.warm_up()
    await case.check(out=0)
    has_limit = "timeout" not in case.column.lacks
    assert case.readings.value(catalogue.MAX) == (case.limit if has_limit else None)
    assert case.readings.value(catalogue.CLOSED, reason="not_pooled") == 3
    assert case.readings.value(catalogue.OPENED) == 3
    assert case.readings.idle == 0


async def same_name(case: Case) -> None:
    await case.warm_up()
    second = case.column.make()
    case.more_pools.append(second)
    await second.open(case.dsn, case.options)
    for _ in range(2):
        await second.give_back(await second.take(20))
    points = case.readings.samples(catalogue.CHECKOUTS)
    by_name = {str(p.attributes[catalogue.POOL_NAME]): p.value for p in points}
    [name] = [name for name in by_name if not name.endswith("-2")]
    assert by_name == {name: 1, f"{name}-2": 2}


async def made_before(case: Case) -> None:
    """Begin with a connection out, and an idle one, that poolscope has not seen taken."""
    held = await case.take()
    if not case.column.has_one:
        await case.warm_up()
    case.readings.instrumentation.uninstrument()
    with instrumented() as case.readings:
        case.taken = 0
        if not case.column.has_one:
            await case.warm_up()
        await case.give_back(held)
        await case.warm_up()
        await case.check(out=0)
